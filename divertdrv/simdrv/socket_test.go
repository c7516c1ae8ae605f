package simdrv

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

var any4 = netip.MustParseAddrPort("0.0.0.0:0")

// windivert.md, sections 2 and 3: which events there are, and what their Addresses say.
func TestSocketEvents(t *testing.T) {
	s := New(Config{Interfaces: []Interface{{IfIdx: 3, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}}}})
	t.Cleanup(s.Close)
	h := openAt(t, s, "true", divertdrv.LayerSocket, divertdrv.Options{Flags: observes})
	server, err := s.Bind(1, wire.ProtoTCP, netip.MustParseAddrPort("0.0.0.0:80"))
	must(t, err)
	must(t, server.Listen())
	client, err := s.Bind(2, wire.ProtoTCP, any4)
	must(t, err)
	must(t, client.Connect(netip.MustParseAddrPort("192.0.2.10:80"))) // itself
	peer, err := server.Accept(netip.MustParseAddr("192.0.2.10"), netip.MustParseAddrPort("192.0.2.10:49152"))
	must(t, err)
	peer.Close()
	peer.Close()

	b := recv(t, h, 6)
	for i, want := range []struct {
		event              divertdrv.Event
		outbound, loopback bool
		remote             string
	}{
		{3, true, false, "[::]:0"}, {5, true, false, "[::]:0"}, // bind, listen
		{3, true, false, "[::]:0"}, {4, true, true, "192.0.2.10:80"}, // bind, connect
		{6, false, true, "192.0.2.10:49152"}, {7, true, true, "192.0.2.10:49152"}, // accept, close
	} {
		a := b.Packets()[i].Addr
		if a.Event() != want.event || a.Outbound() != want.outbound || a.Loopback() != want.loopback ||
			a.Flow().Remote.String() != want.remote || !a.Sniffed() || a.IPv6() || a.Impostor() || a.UDPChecksum() {
			t.Errorf("event %d: %+v, %+v", i, a, a.Flow())
		}
	}
	pass(t, h, b)
	if st := s.Stats(); st.Sockets != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestSocketsAreBlocked(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	low := openAt(t, s, "true", divertdrv.LayerSocket, divertdrv.Options{Flags: observes, Priority: -1})
	h := openAt(t, s, "event == BIND and localPort == 23 or event == CONNECT or event == LISTEN or event == ACCEPT and remotePort == 7 or event == CLOSE",
		divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.RecvOnly})
	if _, err := s.Bind(1, wire.ProtoTCP, netip.MustParseAddrPort("[::]:23")); !errors.Is(err, ErrBlocked) {
		t.Errorf("Bind: %v", err)
	}
	k, err := s.Bind(1, wire.ProtoTCP, netip.MustParseAddrPort("[::]:24"))
	must(t, err)
	if err := k.Connect(theirs); !errors.Is(err, ErrBlocked) {
		t.Errorf("Connect: %v", err)
	}
	if err := k.Listen(); !errors.Is(err, ErrBlocked) {
		t.Errorf("Listen: %v", err)
	}
	k.Close() // nobody can block that
	wantEvents(t, h, "bind out 1.1/0 [::]:23 [::]:0", "connect out 1.2/0 [::]:24 198.51.100.1:53", "listen out 1.2/0 [::]:24 [::]:0",
		"close out 1.2/0 [::]:24 [::]:0")
	wantEvents(t, low, "bind out 1.2/0 [::]:24 [::]:0", "close out 1.2/0 [::]:24 [::]:0")
	st := h.Stats()
	if st.Passed != 1 || st.DroppedTotal() != 3 {
		t.Errorf("stats %+v", st)
	}
	must(t, h.Close())

	k, err = s.Bind(1, wire.ProtoTCP, netip.MustParseAddrPort("[::]:25"))
	must(t, err)
	must(t, k.Listen())
	openAt(t, s, "remotePort == 7", divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.RecvOnly | divertdrv.DropAll})
	if _, err := k.Accept(k.Local().Addr(), netip.MustParseAddrPort("[2001:db8::1]:7")); !errors.Is(err, ErrBlocked) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := k.Accept(k.Local().Addr(), netip.MustParseAddrPort("[2001:db8::1]:8")); err != nil {
		t.Errorf("Accept: %v", err)
	}
}

func TestSocketErrors(t *testing.T) {
	s := New(Config{SocketsMax: 3})
	k, err := s.Bind(1, wire.ProtoUDP, netip.MustParseAddrPort("192.0.2.10:4000"))
	must(t, err)
	for what, c := range map[string]struct{ err, want error }{
		"no address":        {second(s.Bind(1, wire.ProtoUDP, netip.AddrPort{})), divertdrv.ErrInvalid},
		"in use":            {second(s.Bind(2, wire.ProtoUDP, k.Local())), ErrInUse},
		"another protocol":  {second(s.Bind(2, wire.ProtoTCP, k.Local())), nil},
		"accept":            {second(k.Accept(k.Local().Addr(), theirs)), divertdrv.ErrInvalid},
		"connect":           {k.Connect(theirs), nil},
		"connect again":     {k.Connect(theirs), divertdrv.ErrInvalid},
		"listen, connected": {k.Listen(), divertdrv.ErrInvalid},
		"the third":         {second(s.Bind(1, wire.ProtoUDP, any4)), nil},
		"one too many":      {second(s.Bind(1, wire.ProtoUDP, any4)), divertdrv.ErrNoRoom},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", what, c.err, c.want)
		}
	}
	k.Close()
	if err := k.Listen(); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Listen after Close: %v", err)
	}
	if _, err := k.Accept(k.Local().Addr(), theirs); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	s.Close()
	if _, err := s.Bind(1, wire.ProtoUDP, any4); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Bind on a closed host: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// Ports are given round, and those that are taken left out.
func TestEphemeralPorts(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	var all []*Socket
	for want := ephemeralMin; want <= ephemeralMax; want++ {
		k, err := s.Bind(1, wire.ProtoUDP, any4)
		if err != nil || int(k.Local().Port()) != want {
			t.Fatalf("port %v: %v, want %d", k, err, want)
		}
		all = append(all, k)
	}
	if _, err := s.Bind(1, wire.ProtoUDP, any4); !errors.Is(err, divertdrv.ErrNoRoom) {
		t.Errorf("one too many: %v", err)
	}
	all[77].Close()
	if k, err := s.Bind(1, wire.ProtoUDP, any4); err != nil || k.Local() != all[77].Local() {
		t.Errorf("the free one: %v, %v", k, err)
	}
}
