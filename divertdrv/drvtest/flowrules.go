package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

var needsFlow = []need{needLayerFlow, needSockets}

var flowRules = []Rule{
	{"flow/tcp", "WinDivert 5.1, WINDIVERT_LAYER_FLOW; WinDivert 5.2", needsFlow, flowTCP},
	{"flow/inbound", "WinDivert 5.3, Outbound and Flow.LocalAddr", needsFlow, flowInbound},
	{"flow/udp-by-its-first-datagram", "WinDivert 5.1, an implicit flow", needsFlow, flowUDP},
	{"flow/ipv6", "WinDivert 5.3, IPv6", needsFlow, flowIPv6},
	{"flow/process", "WinDivert 5.3, Flow.ProcessId", append(needsFlow, needProcess), flowProcess},
	{"flow/filter", "WinDivert 7, event and protocol", needsFlow, flowFilter},
	{"flow/not-those-before", "WinDivert 5.1, cannot capture what occurred before", needsFlow, flowBefore},
	{"flow/all-handles-see-all", "WinDivert 5.4, WINDIVERT_FLAG_SNIFF is mandatory", needsFlow, flowAll},
	{"flow/nothing-is-blocked", "WinDivert 5.1, captured, but not blocked", needsFlow, flowUnblocked},
}

func (p *probe) watchFlows(filter string) *handle {
	p.Helper()
	return p.watch(filter, divertdrv.LayerFlow)
}

func flowTCP(p *probe) {
	h := p.watchFlows(portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	for _, pk := range p.happened(h, addr.EventEstablished, addr.EventDeleted) {
		p.about(pk, wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))
		if a := pk.Addr; !a.Outbound() || !a.Sniffed() || a.Layer() != divertdrv.LayerFlow {
			p.Errorf("%v: outbound %v, sniffed %v, layer %v", a.Event(), a.Outbound(), a.Sniffed(), a.Layer())
		}
	}
}

// Local is this host's end whoever began; Outbound says who did.
func flowInbound(p *probe) {
	h := p.watchFlows(portFilter(socketPort))
	listener := p.must(p.w.Sockets.Listen(p.local(socketPort)))
	p.over(p.must(p.w.Sockets.Accept(p.local(socketPort), p.remote(otherPort))))
	p.over(listener)
	for _, pk := range p.happened(h, addr.EventEstablished, addr.EventDeleted) {
		p.about(pk, wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))
		if pk.Addr.Outbound() {
			p.Errorf("%v: a flow that the other side began is outbound", pk.Addr.Event())
		}
	}
}

func flowUDP(p *probe) {
	h := p.watchFlows(portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoUDP, p.local(socketPort), p.remote(otherPort))))
	for _, pk := range p.happened(h, addr.EventEstablished, addr.EventDeleted) {
		p.about(pk, wire.ProtoUDP, p.local(socketPort), p.remote(otherPort))
	}
}

func flowIPv6(p *probe) {
	h := p.watchFlows("ipv6 and " + portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local6(socketPort), p.remote6(otherPort))))
	for _, pk := range p.happened(h, addr.EventEstablished, addr.EventDeleted) {
		p.about(pk, wire.ProtoTCP, p.local6(socketPort), p.remote6(otherPort))
	}
}

func flowProcess(p *probe) {
	h := p.watchFlows(portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	for _, pk := range p.happened(h, addr.EventEstablished, addr.EventDeleted) {
		p.is("process", uint64(pk.Addr.Flow().ProcessID), uint64(p.w.Sockets.PID()))
	}
}

func flowFilter(p *probe) {
	ends := p.watchFlows("event == DELETED and " + portFilter(socketPort))
	udp := p.watchFlows("protocol == UDP and " + portFilter(socketPort))
	none := p.watchFlows("inbound and " + portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoUDP, p.local(socketPort), p.remote(otherPort))))
	p.happened(ends, addr.EventDeleted, addr.EventDeleted)
	p.happened(udp, addr.EventEstablished, addr.EventDeleted)
	p.happened(none)
}

// Of a flow that was there before nobody is told that it was established. Whether its end is told is the driver's.
func flowBefore(p *probe) {
	k := p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort)))
	h := p.watchFlows("event == ESTABLISHED and " + portFilter(socketPort))
	p.over(k)
	p.happened(h)
}

func flowAll(p *probe) {
	one := p.watchFlows(portFilter(socketPort))
	two := p.openAt(portFilter(socketPort), divertdrv.LayerFlow, divertdrv.Options{Priority: 100, Flags: mandatory(divertdrv.LayerFlow)})
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	p.happened(one, addr.EventEstablished, addr.EventDeleted)
	p.happened(two, addr.EventEstablished, addr.EventDeleted)
}

// Not even a handle that drops what it reads: the flow goes on, and others are told of it.
func flowUnblocked(p *probe) {
	high := p.openAt(portFilter(socketPort), divertdrv.LayerFlow, divertdrv.Options{Priority: 9, Flags: mandatory(divertdrv.LayerFlow)})
	low := p.watchFlows(portFilter(socketPort))
	k := p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort)))
	b := newBatch()
	p.fill(high, b)
	p.complete(high, b) // unmarked is Drop
	p.over(k)
	p.happened(low, addr.EventEstablished, addr.EventDeleted)
	p.happened(high, addr.EventDeleted)
}
