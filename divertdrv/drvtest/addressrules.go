package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

var addressRules = []Rule{
	{"address/outbound", "WinDivert 5.3, Outbound", nil, func(p *probe) { p.address(Outbound) }},
	{"address/inbound", "WinDivert 5.3, Outbound", []need{needInbound}, func(p *probe) { p.address(Inbound) }},
	{"address/loopback", "WinDivert 5.3, Loopback: outbound only", []need{needLoopback}, func(p *probe) { p.address(Loopback) }},
	{"address/forwarded", "WinDivert 5.3, Layer", []need{needForward, needLayerForward}, func(p *probe) { p.address(Forwarded) }},
	{"address/timestamp", "WinDivert 5.3, Timestamp", nil, addressTimestamp},
	{"address/checksum-flags", "WinDivert 5.5, correct checksums or the flag unset", nil, addressChecksums},
	{"address/interface", "WinDivert 5.3, Network.IfIdx", []need{needIfIdx}, addressInterface},
}

// address checks what a handle is told of a packet of each family, and at which end it comes out.
func (p *probe) address(w Way) {
	p.Helper()
	layer := divertdrv.Network
	if w == Forwarded {
		layer = divertdrv.NetworkForward
	}
	h := p.openAt(filterAll, layer, divertdrv.Options{})
	for n, six := range []bool{false, true} {
		s := spec{way: w, n: n, ipv6: six}
		sent := p.sendAs(s)
		pk := p.pass(h, n)[0]
		a := pk.Addr
		if a.Layer() != layer || a.Event() != addr.EventPacket {
			p.Errorf("layer %v, event %v; want %v, packet", a.Layer(), a.Event(), layer)
		}
		if a.Outbound() != (w != Inbound) || a.Loopback() != (w == Loopback) || a.IPv6() != six || a.Impostor() || a.Sniffed() {
			p.Errorf("outbound %v, loopback %v, IPv6 %v, impostor %v, sniffed %v", a.Outbound(), a.Loopback(), a.IPv6(), a.Impostor(), a.Sniffed())
		}
		if d := differ(pk.Data, p.routed(s, sent, pk.Data)); d != "" {
			p.Errorf("received is not what was sent: %s", d)
		}
		if out := p.hasLeft(n)[0]; out.AtHost != (w == Inbound || w == Loopback) {
			p.Errorf("a packet that is %v came out at the host: %v", w, out.AtHost)
		}
	}
	p.rest(h)
}

// The clock stands still or goes on between packets, never back.
func addressTimestamp(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3)
	last := int64(0)
	for _, pk := range p.pass(h, 1, 2, 3) {
		if pk.Addr.Timestamp == 0 || pk.Addr.Timestamp < last {
			p.Errorf("timestamp %d after %d", pk.Addr.Timestamp, last)
		}
		last = pk.Addr.Timestamp
	}
}

func addressChecksums(p *probe) {
	h := p.open(0, 0)
	p.sendAs(spec{n: 0})
	p.sendAs(spec{n: 1, ipv6: true})
	for i, pk := range p.pass(h, 0, 1) {
		ip, transport := wire.Verify(pk.Data, pk.Headers())
		if pk.Addr.IPChecksum() && ip == wire.SumBad || pk.Addr.UDPChecksum() && transport == wire.SumBad {
			p.Errorf("packet %d: a checksum that its address calls final is wrong", i)
		}
	}
}

func addressInterface(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	if a := p.pass(h, 1)[0].Addr; a.IfIdx() == 0 {
		p.Errorf("the interface index is 0")
	}
}
