package mutants

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// atEvents changes what is told of events of a layer.
func atEvents(l divertdrv.Layer, f func(pk *divertdrv.Packet)) twist {
	return twist{recv: each(func(c *twistedConn, pk *divertdrv.Packet) {
		if c.layer == l {
			f(pk)
		}
	})}
}

// only opens handles of a layer with a narrower filter.
func only(l divertdrv.Layer, and string) twist {
	return twist{open: opening(func(f *divertdrv.Filter, at *divertdrv.Layer, _ *divertdrv.Options) *divertdrv.Filter {
		if *at == l {
			return as(f, l, and)
		}
		return f
	})}
}

// flow changes the data of an event.
func flow(f func(d *addr.Flow)) func(*divertdrv.Packet) {
	return func(pk *divertdrv.Packet) {
		d := pk.Addr.Flow()
		f(&d)
		pk.Addr.SetFlow(d)
	}
}

// reflected changes the data of an event.
func reflected(f func(d *addr.Reflect)) func(*divertdrv.Packet) {
	return func(pk *divertdrv.Packet) {
		d := pk.Addr.Reflect()
		f(&d)
		pk.Addr.SetReflect(d)
	}
}

// dummyPriority tells a mutant's own handle from the suite's.
const dummyPriority = 4712

var eventMutants = []mutant{
	{name: "no flow is ever deleted", breaks: []string{"flow/tcp"}, twist: only(divertdrv.LayerFlow, "event == ESTABLISHED")},
	{name: "no flow is ever established", breaks: []string{"flow/tcp"}, twist: only(divertdrv.LayerFlow, "event == DELETED")},
	{name: "datagrams are no flows", breaks: []string{"flow/filter", "flow/udp-by-its-first-datagram"}, twist: only(divertdrv.LayerFlow, "protocol != UDP")},
	{name: "all flows are outbound", breaks: []string{"flow/inbound"}, twist: atEvents(divertdrv.LayerFlow, func(pk *divertdrv.Packet) { pk.Addr.SetOutbound(true) })},
	{name: "flows are told from the other end", breaks: []string{"flow/tcp"}, twist: atEvents(divertdrv.LayerFlow, flow(func(d *addr.Flow) { d.Local, d.Remote = d.Remote, d.Local }))},
	{name: "no flow is IPv6", breaks: []string{"flow/ipv6"}, twist: atEvents(divertdrv.LayerFlow, func(pk *divertdrv.Packet) { pk.Addr.SetIPv6(false) })},
	{name: "nobody owns a flow", breaks: []string{"flow/process"}, twist: atEvents(divertdrv.LayerFlow, flow(func(d *addr.Flow) { d.ProcessID = 0 }))},
	{name: "nobody owns a socket", breaks: []string{"socket/process"}, twist: atEvents(divertdrv.LayerSocket, flow(func(d *addr.Flow) { d.ProcessID = 0 }))},
	{name: "a handle at FLOW keeps events from the others", breaks: []string{"flow/all-handles-see-all", "flow/nothing-is-blocked"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.LayerFlow {
			f &^= divertdrv.Sniff
		}
		return f
	})}},
	{name: "only the first handle of a layer is told of events", breaks: []string{"flow/all-handles-see-all", "reflect/all-handles-see-all"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		d.mu.Lock()
		for _, c := range d.conns {
			if c.layer == l && l > divertdrv.NetworkForward && o.Flags&divertdrv.Sniff != 0 {
				f = as(f, l, "false")
			}
		}
		d.mu.Unlock()
		return d.Driver.Open(f, l, o)
	}}},
	{name: "what was before is told again", breaks: []string{"flow/not-those-before", "socket/not-those-before"}, twist: twist{start: spy, open: replay, recv: recvReplayed, complete: completeReplayed}},
	{name: "an accepted socket has no parent", breaks: []string{"socket/listen-and-accept"}, twist: atEvents(divertdrv.LayerSocket, flow(func(d *addr.Flow) { d.ParentEndpointID = 0 }))},
	{name: "a socket changes its number", breaks: []string{"socket/connect"}, twist: atEvents(divertdrv.LayerSocket, func(pk *divertdrv.Packet) {
		flow(func(d *addr.Flow) { d.EndpointID += uint64(pk.Addr.Event()) })(pk)
	})},
	{name: "a port that is bound has a peer", breaks: []string{"socket/udp"}, twist: atEvents(divertdrv.LayerSocket, func(pk *divertdrv.Packet) {
		if pk.Addr.Event() == addr.EventBind {
			flow(func(d *addr.Flow) { d.Remote = netip.AddrPortFrom(d.Local.Addr(), 9) })(pk)
		}
	})},
	{name: "to accept is outbound", breaks: []string{"socket/listen-and-accept"}, twist: atEvents(divertdrv.LayerSocket, func(pk *divertdrv.Packet) { pk.Addr.SetOutbound(true) })},
	{name: "nothing listens", breaks: []string{"socket/listen-and-accept"}, twist: only(divertdrv.LayerSocket, "event != LISTEN")},
	{name: "CLOSE does not say that it was not blocked", breaks: []string{"socket/close-cannot-be-blocked"}, twist: atEvents(divertdrv.LayerSocket, func(pk *divertdrv.Packet) {
		if pk.Addr.Event() == addr.EventClose {
			pk.Addr.SetSniffed(false)
		}
	})},
	{name: "CLOSE is not told", breaks: []string{"socket/connect"}, twist: only(divertdrv.LayerSocket, "event != CLOSE")},
	{name: "a handle at SOCKET blocks nothing", breaks: []string{"socket/blocks-without-sniff"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.LayerSocket {
			f = f&^divertdrv.DropAll | divertdrv.Sniff
		}
		return f
	})}},
	{name: "to accept cannot be blocked", breaks: []string{"socket/blocks-every-operation"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.LayerSocket && o.Flags&divertdrv.Sniff == 0 {
			return as(f, *l, "event != ACCEPT")
		}
		return f
	})}},
	{name: "what is sniffed at SOCKET is blocked", breaks: []string{"socket/sniff-lets-it-happen"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.LayerSocket && f&divertdrv.Sniff != 0 {
			f &^= divertdrv.Sniff
		}
		return f
	})}},
	{name: "SOCKET and DropAll tell what they block", breaks: []string{"socket/drop-all-blocks-unseen"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.LayerSocket {
			f &^= divertdrv.DropAll
		}
		return f
	})}},
	{name: "handles that are open are not told of", breaks: []string{"reflect/those-that-are-open"}, twist: twist{open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if l == divertdrv.LayerReflect && len(d.conns) > 0 {
			f = as(f, l, "priority != 4711")
		}
		return d.Driver.Open(f, l, o)
	}}},
	{name: "the end of a handle is not told", breaks: []string{"reflect/open-and-close"}, twist: only(divertdrv.LayerReflect, "event == OPEN")},
	{name: "the start of a handle is not told", breaks: []string{"reflect/open-and-close"}, twist: only(divertdrv.LayerReflect, "event == CLOSE")},
	{name: "the priority of a handle is not told", breaks: []string{"reflect/what-is-told"}, twist: atEvents(divertdrv.LayerReflect, reflected(func(d *addr.Reflect) { d.Priority = 0 }))},
	{name: "the flags of a handle are not told", breaks: []string{"reflect/what-is-told"}, twist: atEvents(divertdrv.LayerReflect, reflected(func(d *addr.Reflect) { d.Flags = 0 }))},
	{name: "a handle changes its time", breaks: []string{"reflect/what-is-told"}, twist: atEvents(divertdrv.LayerReflect, func(pk *divertdrv.Packet) {
		reflected(func(d *addr.Reflect) { d.Timestamp += int64(pk.Addr.Event()) })(pk)
	})},
	{name: "handles at FORWARD are told as others", breaks: []string{"reflect/other-layers"}, twist: atEvents(divertdrv.LayerReflect, reflected(func(d *addr.Reflect) { d.Layer = divertdrv.Network }))},
	{name: "a filter's object has no end", breaks: []string{"reflect/the-filter-is-its-object"}, twist: atEvents(divertdrv.LayerReflect, func(pk *divertdrv.Packet) { pk.Data = pk.Data[:len(pk.Data)-1] })},
	{name: "a filter's object is its text", breaks: []string{"reflect/the-filter-is-its-object"}, twist: atEvents(divertdrv.LayerReflect, func(pk *divertdrv.Packet) { copy(pk.Data, "tcp or udp or ip") })},
	{name: "handles at REFLECT are told of each other", breaks: []string{"reflect/never-each-other"}, twist: twist{
		open: func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
			c, err := d.Driver.Open(f, l, o)
			if err == nil && l == divertdrv.LayerReflect {
				d.extra("false", divertdrv.Network, divertdrv.Options{Priority: dummyPriority})
			}
			return c, err
		},
		recv: each(func(c *twistedConn, pk *divertdrv.Packet) {
			if c.layer == divertdrv.LayerReflect && pk.Addr.Reflect().Priority == dummyPriority {
				reflected(func(d *addr.Reflect) { d.Layer = divertdrv.LayerReflect })(pk)
			}
		}),
	}},
}

// spy watches flows and sockets from the start.
func spy(d *twisted) {
	for _, l := range []divertdrv.Layer{divertdrv.LayerFlow, divertdrv.LayerSocket} {
		d.spies = append(d.spies, d.extra("true", l, divertdrv.Options{Flags: divertdrv.Sniff | divertdrv.RecvOnly}))
	}
}

// replay opens a handle and gives it what its spy has seen.
func replay(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := d.Driver.Open(f, l, o)
	if err != nil || l != divertdrv.LayerFlow && l != divertdrv.LayerSocket || o.Flags&divertdrv.Sniff == 0 {
		return c, err
	}
	h := d.spies[l-divertdrv.LayerFlow]
	_ = h.Shutdown(divertdrv.ShutdownRecv)
	again := &replayed{Conn: c}
	for b := newBatch(); h.Recv(b) == nil; _ = h.Complete(b) {
		for i := range b.Packets() {
			if pk := &b.Packets()[i]; f.Match(pk.Addr, pk.Data, nil) {
				again.events = append(again.events, free(pk))
			}
		}
	}
	return again, nil
}

// replayed is a Conn that has older events to tell.
type replayed struct {
	divertdrv.Conn
	events []*divertdrv.Packet
}

func recvReplayed(c *twistedConn, b *divertdrv.Batch) error {
	r, ok := c.Conn.(*replayed)
	if !ok || len(r.events) == 0 {
		return c.Conn.Recv(b)
	}
	b.Append(r.events[0].Addr, r.events[0].Data, replayToken)
	r.events = r.events[1:]
	return nil
}

// replayToken marks a batch that the driver knows nothing of.
const replayToken = 1 << 63

func completeReplayed(c *twistedConn, b *divertdrv.Batch) error {
	if b.Token(0) == replayToken {
		return nil
	}
	return c.Conn.Complete(b)
}
