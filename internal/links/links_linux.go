// Package links makes network devices, addresses and routes in a namespace by rtnetlink: what tests and measurements need to join
// namespaces by cables. Linux only.
package links

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// Conn speaks rtnetlink in one namespace. Sources: rtnetlink(7), linux/if_link.h.
type Conn struct{ conn *netlink.Conn }

// In runs f with a connection in the namespace of the descriptor ns.
func In(ns int, f func(l *Conn) error) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, ns)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(&Conn{conn})
}

const (
	create   = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
	vethPeer = 1 // VETH_INFO_PEER
)

// Device is what the kernel says of a device.
type Device struct {
	Index   int
	MAC     [6]byte
	Running bool // up at both ends, so addresses are usable
}

// body is a struct ifinfomsg with attributes.
func body(index int, flags, change uint32, attrs netlink.Attrs) []byte {
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

// Veth makes a device here and its peer in the namespace of the descriptor there.
func (l *Conn) Veth(here, peer string, there int) error {
	a := named(here)
	a.Nest(unix.IFLA_LINKINFO, func(in *netlink.Attrs) {
		in.String(unix.IFLA_INFO_KIND, "veth")
		in.Nest(unix.IFLA_INFO_DATA, func(in *netlink.Attrs) {
			p := named(peer)
			p.U32(unix.IFLA_NET_NS_FD, uint32(there))
			in.Bytes(vethPeer, body(0, 0, 0, p))
		})
	})
	err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWLINK, Flags: create, Body: body(0, 0, 0, a)})
	if err != nil {
		return fmt.Errorf("veth pair %s, %s: %w", here, peer, err)
	}
	return nil
}

// Up sets a device up.
func (l *Conn) Up(name string) error {
	err := l.conn.Do(netlink.Message{
		Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_ACK, Body: body(0, unix.IFF_UP, unix.IFF_UP, named(name)),
	})
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// MTU sets the MTU of a device.
func (l *Conn) MTU(index, bytes int) error {
	var a netlink.Attrs
	a.U32(unix.IFLA_MTU, uint32(bytes))
	err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_ACK, Body: body(index, 0, 0, a)})
	if err != nil {
		return fmt.Errorf("set MTU %d: %w", bytes, err)
	}
	return nil
}

// Device looks at one.
func (l *Conn) Device(name string) (d Device, err error) {
	err = l.conn.Query(netlink.Message{Type: unix.RTM_GETLINK, Body: body(0, 0, 0, named(name))}, func(m netlink.Message) error {
		if len(m.Body) < unix.SizeofIfInfomsg {
			return fmt.Errorf("an answer of %d bytes", len(m.Body))
		}
		d.Index = int(binary.NativeEndian.Uint32(m.Body[4:]))
		flags := binary.NativeEndian.Uint32(m.Body[8:])
		d.Running = flags&unix.IFF_RUNNING != 0
		return netlink.Each(m.Body[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) error {
			if typ == unix.IFLA_ADDRESS {
				copy(d.MAC[:], v)
			}
			return nil
		})
	})
	if err != nil {
		return d, fmt.Errorf("look at %s: %w", name, err)
	}
	return d, nil
}

// Address adds one, without duplicate address detection.
func (l *Conn) Address(index int, p netip.Prefix) error {
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

// Gateway adds the default route of via's family.
func (l *Conn) Gateway(via netip.Addr) error {
	a := netlink.Attrs{
		family(via), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0,
	}
	a.Bytes(unix.RTA_GATEWAY, via.AsSlice())
	if err := l.conn.Do(netlink.Message{Type: unix.RTM_NEWROUTE, Flags: create, Body: a}); err != nil {
		return fmt.Errorf("add default route by %v: %w", via, err)
	}
	return nil
}

// readyTime bounds the wait for a new link.
const readyTime = 10 * time.Second

// Configure waits until a device is running, since IPv6 takes no address for good before, and gives it addresses.
func (l *Conn) Configure(name string, addrs ...netip.Prefix) (d Device, err error) {
	for until := time.Now().Add(readyTime); ; time.Sleep(time.Millisecond) {
		if d, err = l.Device(name); err != nil {
			return d, err
		}
		if d.Running {
			break
		}
		if time.Now().After(until) {
			return d, fmt.Errorf("link %s is not running after %v", name, readyTime)
		}
	}
	for _, a := range addrs {
		if err := l.Address(d.Index, a); err != nil {
			return d, err
		}
	}
	return d, nil
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
