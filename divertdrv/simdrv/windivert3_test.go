package simdrv

import (
	"errors"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestWinDivertLayers(t *testing.T) {
	runPoints(t, []point{
		{"3 flags: what is legal at each layer", legalFlags},
		{"3 layers: FLOW, SOCKET and REFLECT cannot inject", eventsCannotInject},
		{"3 priority: higher first, equal ones newest first, what is injected visits strictly lower ranks", ranks},
		{"3 reflect: told of all open handles but those at REFLECT, with what they were opened with", reflectTells},
		{"3 forward: always outbound, no sub-interface, never loopback", forwardAddress},
		{"3 forward: inbound, outbound and loopback are no words of its filters", forwardWords},
		{"3 outbound: a packet longer than the MTU is seen whole, and leaves in fragments", longerThanMTU},
		{"3 loopback: an own address of any interface, not only 127.0.0.0/8", ownAddress},
		{"3 flow: FLOW cannot block, nor hold up what it tells of", flowsGoOn},
	})
}

// legalFlags asks for every combination of flags; the rules are written out again from the documentation.
func legalFlags(t *testing.T) {
	x := newBench(t)
	for l := range divertdrv.Layer(addr.Layers) {
		for f := range divertdrv.Flags(1 << 7) {
			has := func(all divertdrv.Flags) bool { return f&all == all }
			legal := f < 1<<6 && !has(1|2) && !has(4|8)
			switch l {
			case 2, 4: // FLOW, REFLECT
				legal = legal && has(1|4)
			case 3: // SOCKET
				legal = legal && has(4)
			}
			h, err := divertdrv.Open("true", l, &divertdrv.Options{Driver: x.Stack, Flags: f})
			if legal != (err == nil) || err != nil && !errors.Is(err, divertdrv.ErrInvalid) {
				t.Errorf("layer %v, flags %#x: %v, legal is %v", l, uint64(f), err, legal)
			}
			if err == nil {
				must(t, h.Close())
			}
		}
	}
}

func eventsCannotInject(t *testing.T) {
	x := newBench(t)
	for _, l := range []divertdrv.Layer{divertdrv.LayerFlow, divertdrv.LayerSocket, divertdrv.LayerReflect} {
		h := openAt(t, x.Stack, "true", l, divertdrv.Options{Flags: observes})
		if n, err := h.Inject(outgoing(udp4(1), true)); n != 0 || !errors.Is(err, divertdrv.ErrUnsupported) {
			t.Errorf("layer %v: %v", l, err)
		}
	}
}

func ranks(t *testing.T) {
	x := newBench(t)
	older := x.open("true", 5, 0)
	low := x.open("true", -30000, 0)
	newer := x.open("true", 5, 0)
	high := x.open("true", 30000, 0)
	all := []*divertdrv.Handle{high, newer, older, low}
	must(t, x.Send(udp4(1)))
	for i, h := range all {
		for _, o := range all[i+1:] {
			if o.Stats().Received != 0 {
				t.Fatal("a lower handle was first")
			}
		}
		x.passAll(h, 1)
	}
	x.left(1, 0)
	for i, h := range all {
		_, err := h.Inject(outgoing(udp4(1), true))
		must(t, err)
		for _, o := range all[i+1:] {
			x.passAll(o, 1)
		}
		x.left(2+i, 0) // neither h nor those above it took it
	}
}

func reflectTells(t *testing.T) {
	x := newBench(t, func(c *Config) { c.ProcessID = 77 })
	early := openAt(t, x.Stack, "udp.DstPort == 53", divertdrv.NetworkForward, divertdrv.Options{Priority: -7, Flags: divertdrv.Sniff})
	o := divertdrv.Options{Flags: observes}
	openAt(t, x.Stack, "true", divertdrv.LayerReflect, o)
	h := openAt(t, x.Stack, "true", divertdrv.LayerReflect, o)
	must(t, early.Close())
	b := recv(t, h, 2)
	for i, want := range []divertdrv.Event{8, 9} { // OPEN, CLOSE
		p := &b.Packets()[i]
		r := p.Addr.Reflect()
		if p.Addr.Event() != want || p.Addr.Outbound() || p.Addr.Loopback() || !p.Addr.Sniffed() ||
			r.ProcessID != 77 || r.Layer != divertdrv.NetworkForward || r.Priority != -7 || r.Flags != divertdrv.Sniff {
			t.Errorf("event %d: %+v, %+v", i, p.Addr, r)
		}
		object, nul := strings.CutSuffix(string(p.Data), "\x00")
		prog, err := filter.Parse(object, divertdrv.NetworkForward)
		if err != nil || !nul {
			t.Fatalf("object %q: %v", p.Data, err)
		}
		if same, err := prog.Object(); err != nil || same != object {
			t.Errorf("object %q, again %q: %v", object, same, err)
		}
	}
	pass(t, h, b)
}

func forwardAddress(t *testing.T) {
	s, _, _ := router()
	h := openAt(t, s, "true", divertdrv.NetworkForward, divertdrv.Options{})
	must(t, s.ReceiveOn(2, between("198.51.100.7", "192.0.2.7", 1))) // leaves by interface 1.4
	b := recv(t, h, 1)
	if a := b.Packets()[0].Addr; !a.Outbound() || a.Loopback() || a.IfIdx() != 1 || a.SubIfIdx() != 0 {
		t.Errorf("address %+v", a)
	}
	pass(t, h, b)
}

func forwardWords(t *testing.T) {
	x := newBench(t)
	for _, word := range []string{"inbound", "outbound", "loopback", "localPort == 1", "remoteAddr == 1.2.3.4", "processId == 1"} {
		var bad *filter.Error
		if _, err := divertdrv.Open(word, divertdrv.NetworkForward, &divertdrv.Options{Driver: x.Stack}); !errors.As(err, &bad) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func longerThanMTU(t *testing.T) {
	x := newBench(t)
	h := x.open("length > 1500", 0, 0)
	must(t, x.Send(named(udp4(65_507))))
	b := recv(t, h, 1)
	if n := len(b.Packets()[0].Data); n != 65_535 {
		t.Errorf("%d bytes", n)
	}
	pass(t, h, b)
	x.left(45, 0)
	rejoin(t, x.out)
}

func ownAddress(t *testing.T) {
	s, _, host := router()
	h := open(t, s, "loopback", divertdrv.Options{})
	own := []string{"127.0.0.1", "127.255.0.9", "192.0.2.10", "198.51.100.10"}
	for _, to := range own {
		must(t, s.Send(between("192.0.2.10", to, 1)))
	}
	must(t, s.Send(between("192.0.2.10", "198.51.100.11", 1)))
	pass(t, h, recv(t, h, len(own)))
	if len(*host) != len(own) {
		t.Errorf("%d came back", len(*host))
	}
}

func flowsGoOn(t *testing.T) {
	x := newBench(t)
	h := openAt(t, x.Stack, "true", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	must(t, x.Send(udpBetween(ours, theirs, 1)))
	x.left(1, 0)
	b := recv(t, h, 1)
	f := b.Packets()[0].Addr.Flow()
	if len(b.Packets()[0].Data) != 0 || f.Protocol != wire.ProtoUDP || b.Packets()[0].Addr.Event() != addr.EventEstablished {
		t.Errorf("%d bytes, %+v", len(b.Packets()[0].Data), f)
	}
	must(t, h.Complete(b)) // marked Drop, which changes nothing
	x.left(1, 0)
}
