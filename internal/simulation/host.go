package simulation

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// host is what the model knows of the simulated one: it has one nameless way to the wire, or two interfaces with addresses.
type host struct {
	named bool
	ways  []way
}

type way struct {
	index, sub uint32
	nets       []netip.Prefix
}

func newHost(named bool) host {
	if !named {
		return host{ways: []way{{index: simdrv.DefaultIfIdx}}}
	}
	return host{named: true, ways: []way{
		{index: 3, sub: 1, nets: []netip.Prefix{netip.PrefixFrom(own4, 24), netip.PrefixFrom(own6, 48)}},
		{index: 8, sub: 2, nets: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/24"), netip.MustParsePrefix("2001:db8:3::1/48")}},
	}}
}

func (h *host) interfaces() (all []simdrv.Interface) {
	if !h.named {
		return nil
	}
	for _, w := range h.ways {
		all = append(all, simdrv.Interface{IfIdx: w.index, SubIfIdx: w.sub, Addrs: w.nets})
	}
	return all
}

// owns says whether an address is the host's.
func (h *host) owns(a netip.Addr) bool {
	for _, w := range h.ways {
		for _, n := range w.nets {
			if n.Addr() == a {
				return true
			}
		}
	}
	return a.IsLoopback()
}

// route finds the way to an address: no two networks overlap, and the first leads to the rest.
func (h *host) route(to netip.Addr) *way {
	for i := range h.ways {
		for _, n := range h.ways[i].nets {
			if n.Contains(to) {
				return &h.ways[i]
			}
		}
	}
	return &h.ways[0]
}

func (h *host) index(of uint32) *way {
	for i := range h.ways {
		if h.ways[i].index == of {
			return &h.ways[i]
		}
	}
	return nil
}

// send is the Address of a packet that the host emits.
func (h *host) send(data []byte) divertdrv.Address {
	to := destination(data)
	if h.owns(to) {
		return h.loop(data)
	}
	a := h.address(h.route(to), data)
	a.SetOutbound(true)
	return a
}

// loop is that of one to itself.
func (h *host) loop(data []byte) divertdrv.Address {
	to, via := destination(data), &h.ways[0]
	for i := range h.ways {
		for _, n := range h.ways[i].nets {
			if n.Addr() == to {
				via = &h.ways[i]
			}
		}
	}
	a := h.address(via, data)
	a.SetOutbound(true)
	a.SetLoopback(true)
	return a
}

func (h *host) receive(data []byte) divertdrv.Address { return h.address(&h.ways[0], data) }

func (h *host) forward(data []byte) divertdrv.Address {
	a := h.address(h.route(destination(data)), data)
	a.SetInterface(a.IfIdx(), 0)
	a.SetLayer(divertdrv.NetworkForward, 0)
	a.SetOutbound(true)
	return a
}

func (h *host) address(via *way, data []byte) (a divertdrv.Address) {
	a.SetInterface(via.index, via.sub)
	a.SetIPv6(len(data) > 0 && data[0]>>4 == 6)
	a.SetChecksums(true)
	return a
}

// destination is where a packet goes; the zero Addr if nobody can tell.
func destination(data []byte) netip.Addr {
	var h wire.Headers
	if !wire.Parse(data, &h) {
		return netip.Addr{}
	}
	_, to, _ := h.Endpoints(data)
	return to.Addr()
}
