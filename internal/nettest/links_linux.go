package nettest

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// links speaks rtnetlink in one namespace. Sources: rtnetlink(7), linux/if_link.h.
type links struct{ conn *netlink.Conn }

// links runs f with a connection; its error ends the test.
func (n *Namespace) links(f func(l *links) error) {
	n.t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, n.fd)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	if err := f(&links{conn}); err != nil {
		n.t.Fatal(err)
	}
}

const (
	create   = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
	vethPeer = 1 // VETH_INFO_PEER
)

// device is what the kernel says of a link.
type device struct {
	index   int
	mac     [6]byte
	running bool // up at both ends, so addresses are usable
}

// link is a struct ifinfomsg with attributes.
func link(index int, flags, change uint32, attrs netlink.Attrs) []byte {
	b := []byte{unix.AF_UNSPEC, 0, 0, 0}
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = binary.NativeEndian.AppendUint32(b, flags)
	b = binary.NativeEndian.AppendUint32(b, change)
	return append(b, attrs...)
}

func named(name string) (a netlink.Attrs) {
	a.String(unix.IFLA_IFNAME, name)
	return a
}

// veth makes a device here and its peer in the namespace of the descriptor there.
func (l *links) veth(here, peer string, there int) error {
	a := named(here)
	a.Nest(unix.IFLA_LINKINFO, func(in *netlink.Attrs) {
		in.String(unix.IFLA_INFO_KIND, "veth")
		in.Nest(unix.IFLA_INFO_DATA, func(in *netlink.Attrs) {
			p := named(peer)
			p.U32(unix.IFLA_NET_NS_FD, uint32(there))
			in.Bytes(vethPeer, link(0, 0, 0, p))
		})
	})
	err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWLINK, Flags: create, Body: link(0, 0, 0, a)})
	if err != nil {
		return fmt.Errorf("veth pair %s, %s: %w", here, peer, err)
	}
	return nil
}

func (l *links) up(name string) error {
	err := l.conn.Do(netlink.Message{
		Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_ACK, Body: link(0, unix.IFF_UP, unix.IFF_UP, named(name)),
	})
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

func (l *links) mtu(index, bytes int) error {
	var a netlink.Attrs
	a.U32(unix.IFLA_MTU, uint32(bytes))
	err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_ACK, Body: link(index, 0, 0, a)})
	if err != nil {
		return fmt.Errorf("set MTU %d: %w", bytes, err)
	}
	return nil
}

func (l *links) device(name string) (d device, err error) {
	err = l.conn.Query(netlink.Message{Type: unix.RTM_GETLINK, Body: link(0, 0, 0, named(name))}, func(m netlink.Message) error {
		if len(m.Body) < unix.SizeofIfInfomsg {
			return fmt.Errorf("an answer of %d bytes", len(m.Body))
		}
		d.index = int(binary.NativeEndian.Uint32(m.Body[4:]))
		flags := binary.NativeEndian.Uint32(m.Body[8:])
		d.running = flags&unix.IFF_RUNNING != 0
		return netlink.Each(m.Body[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) error {
			if typ == unix.IFLA_ADDRESS {
				copy(d.mac[:], v)
			}
			return nil
		})
	})
	if err != nil {
		return d, fmt.Errorf("look at %s: %w", name, err)
	}
	return d, nil
}

func (l *links) address(index int, p netip.Prefix) error {
	b := []byte{family(p.Addr()), uint8(p.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE}
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	a := netlink.Attrs(b)
	a.Bytes(unix.IFA_LOCAL, p.Addr().AsSlice())
	a.Bytes(unix.IFA_ADDRESS, p.Addr().AsSlice())
	if err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWADDR, Flags: create, Body: a}); err != nil {
		return fmt.Errorf("add address %v: %w", p, err)
	}
	return nil
}

// gateway adds the default route of via's family.
func (l *links) gateway(via netip.Addr) error {
	a := netlink.Attrs{
		family(via), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0,
	}
	a.Bytes(unix.RTA_GATEWAY, via.AsSlice())
	if err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWROUTE, Flags: create, Body: a}); err != nil {
		return fmt.Errorf("add default route by %v: %w", via, err)
	}
	return nil
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
