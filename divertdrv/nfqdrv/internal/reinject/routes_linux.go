package reinject

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/netlink"
)

// routeSlots bounds the pairs of addresses that are remembered on the forward path.
const routeSlots = 1024

// routes says by which interface a packet is to arrive so that the kernel forwards it as wished. It asks the kernel for the whole
// way, since what the kernel would not forward it drops in silence; answers, refusals too, are remembered until a route changes.
type routes struct {
	conn  *netlink.Conn
	slots [routeSlots]journey
}

// journey is a packet's way through this host, as wished and as found.
type journey struct {
	wish
	arrival uint32
	err     error
}

type wish struct {
	src, dst [16]byte
	version  uint8  // 0: the slot is empty
	in, out  uint32 // 0: any
}

func newRoutes(conn *netlink.Conn) *routes { return &routes{conn: conn} }

func (r *routes) forget() { clear(r.slots[:]) }

// arrival returns the index of the interface, or why the packet would not be forwarded.
func (r *routes) arrival(p *divertdrv.Packet) (uint32, error) {
	w := wish{version: p.Data[0] >> 4, in: p.Addr.SubIfIdx(), out: p.Addr.IfIdx()}
	if w.version == 4 {
		copy(w.src[:], p.Data[sourceOff4:destOff4])
		copy(w.dst[:], p.Data[destOff4:destOff4+4])
	} else {
		copy(w.src[:], p.Data[sourceOff6:destOff6])
		copy(w.dst[:], p.Data[destOff6:destOff6+16])
	}
	slot := &r.slots[w.hash()%routeSlots]
	if slot.wish != w {
		slot.wish = w
		slot.arrival, slot.err = w.find(r.conn)
	}
	return slot.arrival, slot.err
}

func (w *wish) hash() uint64 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(w.in)<<32 | uint64(w.out)
	for _, a := range [...]*[16]byte{&w.src, &w.dst} {
		for i := 0; i < len(a); i += 8 {
			h = (h ^ binary.NativeEndian.Uint64(a[i:])) * prime
			h ^= h >> 29
		}
	}
	return h
}

// find asks for the way back to the source, unless the packet's arrival is given, and then for the way to the destination for a
// packet that arrives so.
func (w *wish) find(conn *netlink.Conn) (arrival uint32, err error) {
	if arrival = w.in; arrival == 0 {
		back, err := w.query(conn, w.src, nil)
		if err != nil {
			return 0, fmt.Errorf("%w: no interface leads back to the source (%w)", divertdrv.ErrUnreachable, err)
		}
		arrival = back.out
	}
	on, err := w.query(conn, w.dst, func(a *netlink.Attrs) {
		a.Bytes(unix.RTA_SRC, w.src[:w.size()])
		a.U32(unix.RTA_IIF, arrival)
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: what arrives at interface %d is not forwarded (%w)", divertdrv.ErrUnreachable, arrival, err)
	case on.typ != unix.RTN_UNICAST:
		return 0, fmt.Errorf("%w: no route to be forwarded by from interface %d (type %d)", divertdrv.ErrUnreachable, arrival, on.typ)
	case w.out != 0 && on.out != w.out:
		return 0, fmt.Errorf("%w: the routes lead to interface %d, the Address to %d", divertdrv.ErrUnreachable, on.out, w.out)
	case w.version == 6:
		err = forwards6(conn)
	}
	return arrival, err
}

func (w *wish) size() int {
	if w.version == 4 {
		return 4
	}
	return 16
}

// route is what the kernel says of one.
type route struct {
	typ uint8 // RTN_…
	out uint32
}

// query asks for the route to an address; more adds attributes.
func (w *wish) query(conn *netlink.Conn, to [16]byte, more func(*netlink.Attrs)) (r route, err error) {
	n := w.size()
	body := netlink.Attrs(make([]byte, unix.SizeofRtMsg))
	body[0], body[1] = family(w.version), uint8(n*8)
	body.Bytes(unix.RTA_DST, to[:n])
	if more != nil {
		body[2] = uint8(n * 8)
		more(&body)
	}
	err = conn.Query(netlink.Message{Type: unix.RTM_GETROUTE, Body: body}, func(m netlink.Message) error {
		if m.Type != unix.RTM_NEWROUTE || len(m.Body) < unix.SizeofRtMsg {
			return errors.New("not an answer to RTM_GETROUTE")
		}
		r.typ = m.Body[7]
		return netlink.Each(m.Body[unix.SizeofRtMsg:], func(typ uint16, v []byte) error {
			if typ == unix.RTA_OIF && len(v) == 4 {
				r.out = binary.NativeEndian.Uint32(v)
			}
			return nil
		})
	})
	return r, err
}

func family(version uint8) uint8 {
	if version == 4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Of linux/netconf.h.
const (
	netconfIndex      = 1 // NETCONFA_IFINDEX
	netconfForwarding = 2 // NETCONFA_FORWARDING
	netconfAll        = ^uint32(0)
)

// forwards6 says whether this host forwards IPv6 at all, which its routes do not say.
func forwards6(conn *netlink.Conn) error {
	body := netlink.Attrs{unix.AF_INET6, 0, 0, 0}
	body.U32(netconfIndex, netconfAll)
	var on bool
	err := conn.Query(netlink.Message{Type: unix.RTM_GETNETCONF, Body: body}, func(m netlink.Message) error {
		if len(m.Body) < 4 {
			return errors.New("not an answer to RTM_GETNETCONF")
		}
		return netlink.Each(m.Body[4:], func(typ uint16, v []byte) error {
			if typ == netconfForwarding && len(v) == 4 {
				on = binary.NativeEndian.Uint32(v) != 0
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return fmt.Errorf("whether IPv6 is forwarded: %w", err)
	case !on:
		return fmt.Errorf("%w: net.ipv6.conf.all.forwarding is 0", divertdrv.ErrUnreachable)
	}
	return nil
}
