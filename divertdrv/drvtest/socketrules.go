package drvtest

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

var needsSocket = []need{needLayerSocket, needSockets}

var socketRules = []Rule{
	{"socket/connect", "WinDivert 5.2, BIND, CONNECT and CLOSE", needsSocket, socketConnect},
	{"socket/listen-and-accept", "WinDivert 5.2, LISTEN and ACCEPT", needsSocket, socketAccept},
	{"socket/udp", "WinDivert 5.2, BIND and CONNECT", needsSocket, socketUDP},
	{"socket/process", "WinDivert 5.3, Socket.ProcessId", append(needsSocket, needProcess), socketProcess},
	{"socket/filter", "WinDivert 7, event", needsSocket, socketFilter},
	{"socket/blocks-without-sniff", "WinDivert 5.1, most socket-related events can be blocked", needsSocket, socketBlocks},
	{"socket/blocks-every-operation", "WinDivert 5.1", needsSocket, socketBlocksEach},
	{"socket/drop-all-blocks-unseen", "WinDivert 5.4, WINDIVERT_FLAG_DROP", needsSocket, socketDropAll},
	{"socket/sniff-lets-it-happen", "WinDivert 5.4, WINDIVERT_FLAG_SNIFF", needsSocket, socketSniff},
	{"socket/close-cannot-be-blocked", "WinDivert 5.2, WINDIVERT_EVENT_SOCKET_CLOSE", needsSocket, socketClose},
	{"socket/not-those-before", "WinDivert 5.1, cannot capture what occurred before", needsSocket, socketBefore},
}

// watchSockets opens a handle that blocks nothing.
func (p *probe) watchSockets(filter string) *handle {
	p.Helper()
	return p.openAt(filter, divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.Sniff | divertdrv.RecvOnly})
}

// operations are the events without further CLOSEs: the end of a connection and of its port may be told apart.
func (p *probe) operations(h *handle, want ...addr.Event) []*divertdrv.Packet {
	p.Helper()
	var all []*divertdrv.Packet
	for _, pk := range p.events(h) {
		if pk.Addr.Event() == addr.EventClose && len(all) > 0 && all[len(all)-1].Addr.Event() == addr.EventClose {
			continue
		}
		all = append(all, pk)
	}
	if got := eventNames(all); got != names(want) {
		p.Fatalf("events %q, want %q", got, names(want))
	}
	for _, pk := range all {
		a := pk.Addr
		if a.Outbound() != (a.Event() != addr.EventAccept) || a.Layer() != divertdrv.LayerSocket || a.Sniffed() != h.copies && a.Event() != addr.EventClose {
			p.Errorf("%v: outbound %v, layer %v, sniffed %v", a.Event(), a.Outbound(), a.Layer(), a.Sniffed())
		}
	}
	return all
}

func socketConnect(p *probe) {
	h := p.watchSockets(portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	all := p.operations(h, addr.EventBind, addr.EventConnect, addr.EventClose)
	bind := p.about(all[0], wire.ProtoTCP, p.local(socketPort), netip.AddrPort{})
	connect := p.about(all[1], wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))
	if bind.EndpointID != connect.EndpointID {
		p.Errorf("endpoint %d binds and %d connects, of one socket", bind.EndpointID, connect.EndpointID)
	}
	if f := all[2].Addr.Flow(); f.EndpointID != bind.EndpointID || f.Local != bind.Local || !all[2].Addr.Sniffed() {
		p.Errorf("CLOSE of endpoint %d at %v, sniffed %v", f.EndpointID, f.Local, all[2].Addr.Sniffed())
	}
}

func socketAccept(p *probe) {
	h := p.watchSockets(portFilter(socketPort) + " and event != CLOSE")
	listener := p.must(p.w.Sockets.Listen(p.local(socketPort)))
	k := p.must(p.w.Sockets.Accept(p.local(socketPort), p.remote(otherPort)))
	p.over(k)
	p.over(listener)
	all := p.operations(h, addr.EventBind, addr.EventListen, addr.EventAccept)
	p.about(all[0], wire.ProtoTCP, p.local(socketPort), netip.AddrPort{})
	listen := p.about(all[1], wire.ProtoTCP, p.local(socketPort), netip.AddrPort{})
	accept := p.about(all[2], wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))
	if listen.EndpointID != 0 && accept.ParentEndpointID != listen.EndpointID {
		p.Errorf("accepted by endpoint %d, its parent is %d", listen.EndpointID, accept.ParentEndpointID)
	}
}

func socketUDP(p *probe) {
	h := p.watchSockets("protocol == UDP and " + portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Bind(wire.ProtoUDP, p.local(socketPort))))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoUDP, p.local6(socketPort), p.remote6(otherPort))))
	all := p.operations(h, addr.EventBind, addr.EventClose, addr.EventBind, addr.EventConnect, addr.EventClose)
	p.about(all[0], wire.ProtoUDP, p.local(socketPort), netip.AddrPort{})
	p.about(all[3], wire.ProtoUDP, p.local6(socketPort), p.remote6(otherPort))
}

func socketProcess(p *probe) {
	h := p.watchSockets(portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Bind(wire.ProtoTCP, p.local(socketPort))))
	for _, pk := range p.operations(h, addr.EventBind, addr.EventClose) {
		p.is("process", uint64(pk.Addr.Flow().ProcessID), uint64(p.w.Sockets.PID()))
	}
}

func socketFilter(p *probe) {
	binds := p.watchSockets("event == BIND and " + portFilter(socketPort))
	connects := p.watchSockets("event == CONNECT and remotePort == 40102 and " + portFilter(socketPort))
	others := p.watchSockets(portFilter(socketPort + 7))
	p.over(p.must(p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))))
	p.operations(binds, addr.EventBind)
	p.operations(connects, addr.EventConnect)
	p.operations(others)
}

// blocker opens a handle that blocks what matches.
func (p *probe) blocker(filter string) *handle {
	p.Helper()
	return p.watch(filter, divertdrv.LayerSocket)
}

// The decision is the filter's: what is done with the event that was read comes too late, so a pass does not undo it.
func socketBlocks(p *probe) {
	low := p.watchSockets("event == CONNECT and " + portFilter(socketPort))
	h := p.openAt("event == CONNECT and "+portFilter(socketPort), divertdrv.LayerSocket,
		divertdrv.Options{Priority: 1, Flags: divertdrv.RecvOnly})
	if _, err := p.w.Sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort)); err == nil {
		p.Fatalf("a connection that a handle blocks was made")
	}
	p.operations(h, addr.EventConnect)
	p.operations(low)
}

func socketBlocksEach(p *probe) {
	sockets := p.w.Sockets
	for _, c := range []struct {
		event string
		try   func() (Socket, error)
	}{
		{"BIND", func() (Socket, error) { return sockets.Bind(wire.ProtoTCP, p.local(socketPort)) }},
		{"LISTEN", func() (Socket, error) { return sockets.Listen(p.local(socketPort)) }},
		{"CONNECT", func() (Socket, error) {
			return sockets.Connect(wire.ProtoTCP, p.local(socketPort), p.remote(otherPort))
		}},
	} {
		h := p.blocker("event == " + c.event + " and " + portFilter(socketPort))
		if _, err := c.try(); err == nil {
			p.Errorf("%s was not blocked", c.event)
		}
		p.shutClosed(h)
		p.over(p.must(c.try()))
	}
	p.blocker("event == ACCEPT and " + portFilter(socketPort))
	listener := p.must(sockets.Listen(p.local(socketPort)))
	if _, err := sockets.Accept(p.local(socketPort), p.remote(otherPort)); err == nil {
		p.Errorf("ACCEPT was not blocked")
	}
	p.over(listener)
}

func socketDropAll(p *probe) {
	h := p.openAt(portFilter(socketPort), divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.DropAll | divertdrv.RecvOnly})
	if _, err := p.w.Sockets.Bind(wire.ProtoTCP, p.local(socketPort)); err == nil {
		p.Errorf("an operation that a handle drops was done")
	}
	st := h.Stats()
	if p.w.Caps.LossCounted {
		p.is("dropped", st.DroppedTotal(), 1)
	}
	p.is("in batches", st.InBatch, 0)
}

func socketSniff(p *probe) {
	high := p.openAt(portFilter(socketPort), divertdrv.LayerSocket, divertdrv.Options{Priority: 1, Flags: divertdrv.Sniff | divertdrv.RecvOnly})
	low := p.watchSockets(portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Bind(wire.ProtoTCP, p.local(socketPort))))
	p.operations(high, addr.EventBind, addr.EventClose)
	p.operations(low, addr.EventBind, addr.EventClose)
}

func socketClose(p *probe) {
	h := p.blocker("event == CLOSE and " + portFilter(socketPort))
	p.over(p.must(p.w.Sockets.Bind(wire.ProtoTCP, p.local(socketPort))))
	if all := p.operations(h, addr.EventClose); !all[0].Addr.Sniffed() {
		p.Errorf("CLOSE was not blocked and does not say so")
	}
}

func socketBefore(p *probe) {
	k := p.must(p.w.Sockets.Bind(wire.ProtoTCP, p.local(socketPort)))
	h := p.watchSockets("event != CLOSE and " + portFilter(socketPort))
	p.over(k)
	p.operations(h)
}
