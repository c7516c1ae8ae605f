package drvtest

import "github.com/weirnet/weir/divertdrv"

var priorityRules = []Rule{
	{"priority/higher-first", "WinDivert 5.4, priority", nil, priorityHigherFirst},
	{"priority/equal-newest-first", "WinDivert 2.2, the driver's injection context; divertdrv.Options.Priority", nil, priorityEqual},
	{"priority/a-pass-goes-strictly-lower", "WinDivert 5.4, diverted once per priority level", nil, priorityPassLower},
	{"priority/an-injection-goes-strictly-lower", "WinDivert 5.7, captured by handles with lower priorities", []need{needInject}, priorityInjectLower},
	{"priority/an-inbound-injection-goes-strictly-lower", "WinDivert 5.7", []need{needInjectInbound}, priorityInjectInbound},
	{"priority/never-ones-own", "WinDivert 5.7", []need{needInject}, priorityOwn},
	{"priority/a-drop-ends-it", "WinDivert 5.4, priority", nil, priorityDrop},
	{"priority/no-match-goes-on", "WinDivert 5.4, provided the packet matches", nil, priorityNoMatch},
	{"priority/a-change-is-seen-below", "WinDivert 5.4, priority", []need{needModify}, priorityChange},
	{"priority/closed-is-passed-by", "WinDivert 5.10", nil, priorityClosed},
	{"priority/order-through-several", "divertdrv.Handle", nil, priorityOrder},
	{"priority/layers-are-apart", "WinDivert 5.1", []need{needForward, needLayerForward}, priorityLayers},
}

func priorityHigherFirst(p *probe) {
	mid, low, high := p.open(0, 0), p.open(-30000, 0), p.open(30000, 0)
	p.send(1, 2)
	for _, h := range []*handle{high, mid, low} {
		p.hasLeft()
		p.pass(h, 1, 2)
	}
	p.hasLeft(1, 2)
}

func priorityEqual(p *probe) {
	first, second, third := p.open(7, 0), p.open(7, 0), p.open(7, 0)
	p.send(1)
	for _, h := range []*handle{third, second, first} {
		p.hasLeft()
		p.pass(h, 1)
	}
	p.hasLeft(1)
}

// Whoever saw a packet does not see it again, and nobody above them either.
func priorityPassLower(p *probe) {
	above, older, me, newer, below := p.open(2, 0), p.open(1, 0), p.open(1, 0), p.open(1, 0), p.open(0, 0)
	p.send(1)
	for _, h := range []*handle{above, newer, me, older, below} {
		p.pass(h, 1)
	}
	p.hasLeft(1)
	for _, h := range []*handle{above, newer, me, older, below} {
		p.rest(h)
	}
}

func priorityInjectLower(p *probe) { p.injectLower(spec{n: 1}) }

func priorityInjectInbound(p *probe) { p.injectLower(spec{n: 1, way: Inbound}) }

func (p *probe) injectLower(s spec) {
	p.Helper()
	above, older, me, newer, below := p.open(2, 0), p.open(1, 0), p.open(1, 0), p.open(1, 0), p.open(0, 0)
	p.inject(me, p.free(s))
	p.hasLeft()
	p.pass(older, 1)
	p.hasLeft()
	p.pass(below, 1)
	p.hasLeft(1)
	for _, h := range []*handle{above, newer, me, older, below} {
		p.rest(h)
	}
}

func priorityOwn(p *probe) {
	h := p.open(0, 0)
	p.inject(h, p.free(spec{n: 1}))
	p.hasLeft(1)
	p.send(2)
	p.pass(h, 2)
	p.hasLeft(2)
	p.rest(h)
}

func priorityDrop(p *probe) {
	high, low := p.open(1, 0), p.open(0, 0)
	p.send(1, 2)
	p.take(high, func(b *divertdrv.Batch, i, n int) {
		if n == 2 {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
	}, 1, 2)
	p.rest(low, 2)
	p.hasLeft(2)
}

func priorityNoMatch(p *probe) {
	high := p.openAt(filterAll+" and ipv6", divertdrv.Network, divertdrv.Options{Priority: 1})
	low := p.open(0, 0)
	p.sendAs(spec{n: 1})
	p.sendAs(spec{n: 2, ipv6: true})
	p.pass(high, 2)
	p.rest(low, 1, 2)
	p.hasLeft(1, 2)
}

// A change may make a packet match a lower filter that it did not match before.
func priorityChange(p *probe) {
	high := p.open(1, 0)
	low := p.openAt(filterAll+" and udp.SrcPort == 40002", divertdrv.Network, divertdrv.Options{})
	p.send(1, 2)
	p.take(high, func(b *divertdrv.Batch, i, n int) {
		pk := &b.Packets()[i]
		if off := pk.Headers().TransportOff; n == 2 {
			pk.Edit()[off+1] = 40002 & 0xff
		}
		pk.Set(divertdrv.Pass, 0)
	}, 1, 2)
	p.rest(low, 2)
	p.hasLeft(1, 2)
}

func priorityClosed(p *probe) {
	high, low := p.open(1, 0), p.open(0, 0)
	p.isErr("Close", high.Close(), nil)
	p.send(1)
	p.rest(low, 1)
	p.hasLeft(1)
}

// Packets come out in the order in which they went in, whoever took some of them on the way.
func priorityOrder(p *probe) {
	high, low := p.open(1, 0), p.open(0, 0)
	p.send(seq(1, 90)...)
	p.pass(high, seq(1, 90)...)
	p.pass(low, seq(1, 90)...)
	p.hasLeft(seq(1, 90)...)
}

func priorityLayers(p *probe) {
	local := p.open(9, 0)
	forward := p.openAt(filterAll, divertdrv.NetworkForward, divertdrv.Options{})
	p.sendAs(spec{n: 1, way: Forwarded})
	p.send(2)
	p.hasLeft()
	p.rest(forward, 1)
	p.hasLeft(1)
	p.rest(local, 2)
	p.hasLeft(2)
}
