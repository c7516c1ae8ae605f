package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

var passRules = []Rule{
	{"pass/changes-no-byte", "WinDivert 5.7, can be reinjected unmodified; divertdrv.Pass", nil, passOutbound},
	{"pass/changes-no-byte-inbound", "WinDivert 5.7; divertdrv.Pass", []need{needInbound}, passInbound},
	{"pass/changes-no-byte-loopback", "WinDivert 5.7; divertdrv.Pass", []need{needLoopback}, passLoopback},
	{"pass/changes-no-byte-forwarded", "WinDivert 5.7; divertdrv.Pass", []need{needForward, needLayerForward}, passForwarded},
	{"pass/a-wrong-checksum-stays", "divertdrv.Pass", nil, passWrongSum},
	{"pass/every-size", "divertdrv.MTUMax", nil, passSizes},
	{"pass/keeps-its-way", "WinDivert 5.7, Outbound", []need{needInbound}, passWay},
}

var modifyRules = []Rule{
	{"modify/bytes", "WinDivert 5.7, or a modified version", []need{needModify}, modifyBytes},
	{"modify/grown", "WinDivert 5.7, or a modified version", []need{needModify, needGrow}, modifyGrown},
	{"modify/shrunk", "WinDivert 5.7, or a modified version", []need{needModify}, modifyShrunk},
	{"modify/inbound", "WinDivert 5.7, or a modified version", []need{needModify, needGrow, needInbound}, modifyInbound},
	{"modify/turned-round", "WinDivert 5.7, Outbound; its example streamdump", []need{needModify, needInjectInbound}, modifyTurned},
	{"modify/corruption-is-not-laundered", "RFC 1624; divertdrv.Packet.Edit", []need{needModify}, modifyCorrupt},
	{"modify/resize-bounds", "divertdrv.Packet.Resize", []need{needModify}, modifyBounds},
	{"modify/only-what-was-changed", "divertdrv.Pass", []need{needModify}, modifyOnly},
}

// passUnchanged sends packets past two handles and compares what left with what was sent.
func (p *probe) passUnchanged(packets ...spec) {
	p.Helper()
	p.passUnchangedAt(divertdrv.Network, packets...)
}

func (p *probe) passUnchangedAt(l divertdrv.Layer, packets ...spec) {
	p.Helper()
	h, low := p.openAt(filterAll, l, divertdrv.Options{Priority: 1}), p.openAt(filterAll, l, divertdrv.Options{})
	for _, s := range packets {
		sent := p.sendAs(s)
		p.w.Network.Settle()
		p.pass(h, s.n)
		p.pass(low, s.n)
		out := p.hasLeft(s.n)[0].Data
		if d := differ(out, p.routed(s, sent, out)); d != "" {
			p.Errorf("packet %+v: %s", s, d)
		}
	}
}

// routed is what a packet of which sent was sent may look like: a router takes a hop off what it forwards, before handles see it
// or behind them.
func (p *probe) routed(s spec, sent, seen []byte) []byte {
	var h wire.Headers
	if s.way == Forwarded && wire.Parse(seen, &h) && wire.TTL(seen, &h) == hopLimit-1 {
		s.hops = hopLimit - 1
		return p.w.build(s)
	}
	return sent
}

func passOutbound(p *probe) {
	p.passUnchanged(spec{n: 1}, spec{n: 2, ipv6: true}, spec{n: 3, hops: 1})
}

func passInbound(p *probe) {
	p.passUnchanged(spec{n: 1, way: Inbound}, spec{n: 2, way: Inbound, ipv6: true}, spec{n: 3, way: Inbound, hops: 2})
}

func passLoopback(p *probe) {
	p.passUnchanged(spec{n: 1, way: Loopback}, spec{n: 2, way: Loopback, ipv6: true})
}

func passForwarded(p *probe) {
	p.passUnchangedAt(divertdrv.NetworkForward, spec{n: 1, way: Forwarded}, spec{n: 2, way: Forwarded, ipv6: true})
}

func passWrongSum(p *probe) {
	p.passUnchanged(spec{n: 1, badSum: true}, spec{n: 2, ipv6: true, badSum: true})
}

func passSizes(p *probe) {
	var packets []spec
	for n, size := range []int{0, 61, 62, 63, 64, 575, 576, 1279, 1280, 1499, 1500} {
		packets = append(packets, spec{n: 2 * n, size: size}, spec{n: 2*n + 1, size: max(size, 80), ipv6: true})
	}
	p.passUnchanged(packets...)
}

func passWay(p *probe) {
	h := p.open(0, 0)
	for n, w := range []Way{Outbound, Inbound} {
		p.sendAs(spec{n: n, way: w})
		p.pass(h, n)
		if p.hasLeft(n)[0].AtHost != (w == Inbound) {
			p.Errorf("a packet that was %v came out at the other end", w)
		}
	}
}

// change sends one packet, has it changed, and compares what left.
func (p *probe) change(s spec, f func(pk *divertdrv.Packet), want func(sent []byte) []byte) {
	p.Helper()
	h, low := p.open(1, 0), p.open(0, 0)
	sent := p.sendAs(s)
	p.w.Network.Settle()
	p.take(h, func(b *divertdrv.Batch, i, _ int) {
		f(&b.Packets()[i])
		b.Packets()[i].Set(divertdrv.Pass, 0)
	}, s.n)
	p.pass(low, s.n)
	if d := differ(p.hasLeft(s.n)[0].Data, want(sent)); d != "" {
		p.Errorf("packet %+v: %s", s, d)
	}
	p.isErr("Close", h.Close(), nil)
	p.isErr("Close", low.Close(), nil)
}

func modifyBytes(p *probe) {
	for n, six := range []bool{false, true} {
		p.change(spec{n: n, ipv6: six}, func(pk *divertdrv.Packet) { pk.Edit()[len(pk.Data)-3] = 0xaa },
			func(sent []byte) []byte {
				sent[len(sent)-3] = 0xaa
				return p.repaired(sent, nil)
			})
	}
}

// tails are what is added: odd and even, short, and more than a frame's worth of spare bytes.
var tails = []int{1, 2, 3, 100, 701}

func (p *probe) grow(w Way) {
	p.Helper()
	for n, more := range tails {
		tail := make([]byte, more)
		for i := range tail {
			tail[i] = byte(3 * i)
		}
		p.change(spec{n: n, way: w, ipv6: n%2 == 1}, func(pk *divertdrv.Packet) {
			old := len(pk.Data)
			if err := pk.Resize(old + more); err != nil {
				p.Fatalf("Resize: %v", err)
			}
			copy(pk.Data[old:], tail)
		}, func(sent []byte) []byte { return p.repaired(sent, tail) })
	}
}

func modifyGrown(p *probe) { p.grow(Outbound) }

func modifyInbound(p *probe) { p.grow(Inbound) }

func modifyShrunk(p *probe) {
	for n, less := range []int{1, 2, 3, 14} {
		p.change(spec{n: n, ipv6: n%2 == 1}, func(pk *divertdrv.Packet) {
			p.isErr("Resize", pk.Resize(len(pk.Data)-less), nil)
		}, func(sent []byte) []byte { return p.repaired(sent[:len(sent)-less], nil) })
	}
}

// What the host sent goes back to it, from where it was sent to.
func modifyTurned(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	sent := p.sendAs(spec{n: 1})
	p.w.Network.Settle()
	p.take(h, func(b *divertdrv.Batch, i, _ int) {
		pk := &b.Packets()[i]
		swapEnds(pk.Edit())
		pk.Addr.SetOutbound(false)
		pk.Set(divertdrv.Pass, 0)
	}, 1)
	if a := p.pass(low, 1)[0].Addr; a.Outbound() {
		p.Errorf("to the handle below it is outbound")
	}
	out := p.hasLeft(1)[0]
	swapEnds(sent)
	if d := differ(out.Data, sent); d != "" || !out.AtHost {
		p.Errorf("at the host: %v; %s", out.AtHost, d)
	}
}

// swapEnds swaps the addresses of an IPv4 packet, which changes no checksum.
func swapEnds(b []byte) {
	src := [4]byte(b[12:16])
	copy(b[12:], b[16:20])
	copy(b[16:], src[:])
}

// A checksum that was wrong stays wrong by as much: the receiver must be able to tell. One that is not final yet was never
// wrong, and is computed.
func modifyCorrupt(p *probe) {
	var was wire.Wrong
	p.change(spec{n: 1, badSum: true}, func(pk *divertdrv.Packet) {
		if pk.Addr.UDPChecksum() {
			was = wire.Judge(pk.Data, pk.Headers())
		}
		pk.Edit()[len(pk.Data)-1] ^= 0x11
	}, func(sent []byte) []byte {
		var h wire.Headers
		sent[len(sent)-1] ^= 0x11
		wire.Parse(sent, &h)
		wire.Recompute(sent, &h, wire.AllSums, was)
		if _, transport := wire.Verify(sent, &h); (transport == wire.SumBad) != (was != wire.Wrong{}) {
			p.Errorf("the suite's own packet has the checksum state %v", transport)
		}
		return sent
	})
}

func modifyBounds(p *probe) {
	h := p.open(0, 0)
	sent := p.sendAs(spec{n: 1})
	p.w.Network.Settle()
	b := divertdrv.NewBatch(1, 200)
	p.fill(h, b)
	pk := &b.Packets()[0]
	p.isErr("over the largest packet", pk.Resize(divertdrv.MTUMax+1), divertdrv.ErrTooBig)
	p.isErr("over the batch", pk.Resize(201), divertdrv.ErrNoRoom)
	pk.Set(divertdrv.Pass, 0)
	p.complete(h, b)
	if d := differ(p.hasLeft(1)[0].Data, sent); d != "" {
		p.Errorf("a Resize that failed changed the packet: %s", d)
	}
}

// The packets beside one that was changed pass as they are.
func modifyOnly(p *probe) {
	h := p.open(0, 0)
	var sent [4][]byte
	for n := range sent {
		sent[n] = p.sendAs(spec{n: n, badSum: true})
	}
	p.w.Network.Settle()
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		pk := &b.Packets()[i]
		if n == 1 {
			pk.Edit()[len(pk.Data)-1]++
		}
		pk.Set(divertdrv.Pass, 0)
	}, 0, 1, 2, 3)
	for n, out := range p.hasLeft(0, 1, 2, 3) {
		if d := differ(out.Data, sent[n]); (d != "") != (n == 1) {
			p.Errorf("packet %d: %q", n, d)
		}
	}
}
