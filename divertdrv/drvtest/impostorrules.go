package drvtest

import (
	"bytes"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

var impostorRules = []Rule{
	{"impostor/costs-a-hop", "WinDivert 5.7, decrement the ip.TTL or ipv6.HopLimit", []need{needInject}, impostorHop},
	{"impostor/hop-limit-used-up", "WinDivert 5.7, ERROR_HOST_UNREACHABLE", []need{needInject}, impostorUsedUp},
	{"impostor/one-hop-only", "WinDivert 5.7; divertdrv.Address.Impostor", []need{needInject}, impostorOnce},
	{"impostor/others-pay-nothing", "WinDivert 5.7", []need{needInject}, impostorOthers},
}

func (p *probe) impostor(s spec) *divertdrv.Packet {
	pk := p.free(s)
	pk.Addr.SetImpostor(true)
	return pk
}

// checkHops checks a packet that left: its hop limit, and that nothing else but the checksum over it changed.
func (p *probe) checkHops(out Arrival, s spec, hops uint8) {
	p.Helper()
	s.hops = hops
	if d := differ(out.Data, p.w.build(s)); d != "" {
		p.Errorf("hop limit, want %d: %s", hops, d)
	}
	var h wire.Headers
	wire.Parse(out.Data, &h)
	if got := wire.TTL(out.Data, &h); got != hops {
		p.Errorf("hop limit %d, want %d", got, hops)
	}
}

func impostorHop(p *probe) {
	h := p.open(0, 0)
	for n, s := range []spec{{}, {ipv6: true}, {hops: 2}, {ipv6: true, hops: 2}} {
		s.n = n
		pk := p.impostor(s)
		before := bytes.Clone(pk.Data)
		p.inject(h, pk)
		p.checkHops(p.hasLeft(n)[0], s, wire.TTL(before, pk.Headers())-1)
		if d := differ(pk.Data, before); d != "" {
			p.Errorf("the hop was taken off the caller's packet: %s", d)
		}
	}
}

func impostorUsedUp(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	for n, six := range []bool{false, true} {
		all := []divertdrv.Packet{*p.impostor(spec{n: n, ipv6: six, hops: 1}), *p.free(spec{n: 9})}
		went, err := h.Inject(all)
		p.is("went in", uint64(went), 0)
		p.isErr("Inject", err, divertdrv.ErrHopLimit)
	}
	st := h.Stats()
	p.is("failed", st.Failed, 2)
	p.rest(low)
	p.hasLeft()
}

// Below the handle that injected it the packet is ours: handles below do not take it for an impostor's, nor pay again.
func impostorOnce(p *probe) {
	h, mid, low := p.open(2, 0), p.open(1, 0), p.open(0, 0)
	p.inject(h, p.impostor(spec{n: 1}))
	if p.pass(mid, 1)[0].Addr.Impostor() {
		p.Errorf("a packet of ours is an impostor to the handle below")
	}
	p.pass(low, 1)
	p.checkHops(p.hasLeft(1)[0], spec{n: 1}, hopLimit-1)
}

func impostorOthers(p *probe) {
	h := p.open(0, 0)
	for n, s := range []spec{{}, {ipv6: true}, {hops: 1}} {
		s.n = n
		pk := p.free(s)
		p.inject(h, pk)
		p.checkHops(p.hasLeft(n)[0], s, wire.TTL(pk.Data, pk.Headers()))
	}
}
