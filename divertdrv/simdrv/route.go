package simdrv

import (
	"net/netip"
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Interface is one of the host's ways to the wire.
type Interface struct {
	IfIdx, SubIfIdx uint32         // as in Addresses; IfIdx is not 0
	MTU             int            // bytes, largest packet that leaves here. 0: Config.MTU
	Addrs           []netip.Prefix // the host's addresses on it, each with the network that is reached through it
	Default         bool           // what no interface's networks have leaves here; without any: by the first

	wire *Pipe // nil: OnWire; guarded by the engine's lock
}

// loopback4 and ::1 are the host's own without being on an interface (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3).
var loopback4 = netip.MustParsePrefix("127.0.0.0/8")

// own says whether an address is the host's.
func (s *Stack) own(a netip.Addr) bool { return s.ownOn(a) != nil }

// ownOn returns the interface that has the address, the first for one that is on none; nil: it is not the host's.
func (s *Stack) ownOn(a netip.Addr) *Interface {
	for i := range s.config.Interfaces {
		for _, p := range s.config.Interfaces[i].Addrs {
			if p.Addr() == a {
				return &s.config.Interfaces[i]
			}
		}
	}
	if loopback4.Contains(a) || a == netip.IPv6Loopback() {
		return &s.config.Interfaces[0]
	}
	return nil
}

// route returns the interface to a destination: that of the longest network that has it.
func (s *Stack) route(to netip.Addr) *Interface {
	all := s.config.Interfaces
	best, bits := max(slices.IndexFunc(all, func(i Interface) bool { return i.Default }), 0), -1
	for i := range all {
		for _, p := range all[i].Addrs {
			if p.Bits() > bits && p.Contains(to) {
				best, bits = i, p.Bits()
			}
		}
	}
	return &all[best]
}

// byIndex returns the interface of an index; nil: there is none.
func (s *Stack) byIndex(ifIdx uint32) *Interface {
	for i := range s.config.Interfaces {
		if s.config.Interfaces[i].IfIdx == ifIdx {
			return &s.config.Interfaces[i]
		}
	}
	return nil
}

// destination reads where a packet goes; the zero Addr if it is none.
func destination(data []byte) netip.Addr {
	var h wire.Headers
	if !wire.Parse(data, &h) {
		return netip.Addr{}
	}
	_, dst, _ := h.Endpoints(data)
	return dst.Addr()
}

// transit says whether a packet is for another host, and this one routes. What is for several hosts is for this one too.
func (s *Stack) transit(data []byte) bool {
	if !s.config.Forwarding {
		return false
	}
	to := destination(data)
	return to.IsValid() && !to.IsMulticast() && to != broadcast4 && !s.own(to)
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// interfaces completes the configuration: there is at least one.
func (c *Config) interfaces() []Interface {
	all := slices.Clone(c.Interfaces)
	if len(all) == 0 {
		all = []Interface{{IfIdx: c.IfIdx}}
	}
	for i := range all {
		if all[i].MTU <= 0 {
			all[i].MTU = c.MTU
		}
	}
	return all
}

func (i *Interface) mark(a *divertdrv.Address) { a.SetInterface(i.IfIdx, i.SubIfIdx) }

// mtu is that of the interface where a packet will leave.
func (s *Stack) mtu(a *divertdrv.Address, data []byte) int {
	via := &s.config.Interfaces[0]
	switch {
	case a.Layer() == divertdrv.NetworkForward && s.byIndex(a.IfIdx()) != nil:
		via = s.byIndex(a.IfIdx())
	case !s.plain:
		via = s.route(destination(data))
	}
	return via.MTU
}
