package simdrv

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

const observes = divertdrv.Sniff | divertdrv.RecvOnly

// events receives what waits at a handle of events and writes it line by line.
func events(t *testing.T, h *divertdrv.Handle) (lines []string) {
	t.Helper()
	b := divertdrv.NewBatch(64, 100)
	if err := h.Recv(b); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.Packets() {
		f, way := p.Addr.Flow(), "in"
		if p.Addr.Outbound() {
			way = "out"
		}
		lines = append(lines, fmt.Sprintf("%v %s %d.%d/%d %v %v", p.Addr.Event(), way, f.ProcessID, f.EndpointID, f.ParentEndpointID, f.Local, f.Remote))
	}
	pass(t, h, b)
	return lines
}

func wantEvents(t *testing.T, h *divertdrv.Handle, want ...string) {
	t.Helper()
	if got := events(t, h); !slices.Equal(got, want) {
		t.Errorf("events %q\nwant   %q", got, want)
	}
}

// udpBetween is a datagram of IPv4 with n bytes of payload.
func udpBetween(src, dst netip.AddrPort, n int) []byte {
	b := udp4(n)
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	b[20], b[21], b[22], b[23] = byte(src.Port()>>8), byte(src.Port()), byte(dst.Port()>>8), byte(dst.Port())
	wire.CalcChecksums(b, 0)
	return b
}

// tcpBetween is a segment without payload.
func tcpBetween(src, dst netip.AddrPort, flags wire.TCPFlags, seq, ack byte) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[8], b[9] = 0x45, 40, 64, wire.ProtoTCP
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	b[20], b[21], b[22], b[23] = byte(src.Port()>>8), byte(src.Port()), byte(dst.Port()>>8), byte(dst.Port())
	b[27], b[31], b[32], b[33] = seq, ack, 5<<4, byte(flags)
	wire.CalcChecksums(b, 0)
	return b
}

var (
	ours   = netip.MustParseAddrPort("192.0.2.10:4000")
	theirs = netip.MustParseAddrPort("198.51.100.1:53")
)

// windivert.md, section 3: FLOW sees flows established after it was opened, and has the process.
func TestFlows(t *testing.T) {
	c := clock.NewVirtual(time.Unix(1000, 0))
	s := New(Config{Clock: c, Flows: true})
	t.Cleanup(s.Close)
	early := netip.MustParseAddrPort("192.0.2.10:9")
	must(t, s.Send(udpBetween(early, theirs, 1)))
	h := openAt(t, s, "true", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	deleted := openAt(t, s, "event == DELETED", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	sock, err := s.Bind(42, wire.ProtoUDP, netip.MustParseAddrPort("0.0.0.0:4000"))
	must(t, err)
	for range 2 {
		must(t, s.Send(udpBetween(early, theirs, 1))) // of an old flow
		must(t, s.Send(udpBetween(ours, theirs, 1)))
		must(t, s.Receive(udpBetween(theirs, ours, 1)))
	}
	wantEvents(t, h, "established out 42.1/0 192.0.2.10:4000 198.51.100.1:53")
	sock.Close()
	wantEvents(t, h, "deleted out 42.1/0 192.0.2.10:4000 198.51.100.1:53")
	wantEvents(t, deleted, "deleted out 42.1/0 192.0.2.10:4000 198.51.100.1:53")

	must(t, s.Send(udpBetween(ours, theirs, 1)))
	wantEvents(t, h, "established out 0.0/0 192.0.2.10:4000 198.51.100.1:53")
	c.Advance(2 * time.Minute)                                            // silence is measured by the clock
	wantEvents(t, h, "deleted out 0.0/0 192.0.2.10:4000 198.51.100.1:53") // and of the old one nothing
	if n := c.Pending(); n != 0 {
		t.Errorf("%d timers wait for nothing", n)
	}
	must(t, s.Send(udpBetween(ours, theirs, 1)))
	if s.Close(); c.Pending() != 0 {
		t.Error("a timer outlives the host")
	}
}

// What a handle drops on its way in never reached the host; what the host emits was a flow before anybody could drop it.
func TestFlowsAndHandles(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	h := openAt(t, s, "true", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	openAt(t, s, "true", divertdrv.Network, divertdrv.Options{Flags: divertdrv.DropAll})
	must(t, s.Receive(udpBetween(theirs, ours, 1)))
	must(t, s.Send(udpBetween(ours, netip.MustParseAddrPort("198.51.100.2:53"), 1)))
	wantEvents(t, h, "established out 0.0/0 192.0.2.10:4000 198.51.100.2:53")
	if st := s.Stats(); st.Flows != 1 {
		t.Errorf("stats %+v", st)
	}
}

// A server: the flow is of the socket that was accepted, whose parent listens; FINs end it.
func TestFlowOfAServer(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	web, client := netip.MustParseAddrPort("192.0.2.10:80"), netip.MustParseAddrPort("198.51.100.1:5000")
	h := openAt(t, s, "tcp", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	listener, err := s.Bind(7, wire.ProtoTCP, netip.MustParseAddrPort("0.0.0.0:80"))
	must(t, err)
	must(t, listener.Listen())
	must(t, s.Receive(tcpBetween(client, web, wire.SYN, 1, 0)))
	must(t, s.Send(tcpBetween(web, client, wire.SYN|wire.ACK, 9, 2)))
	_, err = listener.Accept(web.Addr(), client)
	must(t, err)
	must(t, s.Receive(tcpBetween(client, web, wire.ACK, 2, 10)))
	must(t, s.Receive(tcpBetween(client, web, wire.FIN|wire.ACK, 2, 10)))
	must(t, s.Send(tcpBetween(web, client, wire.FIN|wire.ACK, 10, 3)))
	must(t, s.Receive(tcpBetween(client, web, wire.ACK, 3, 11)))
	wantEvents(t, h, "established in 7.2/1 192.0.2.10:80 198.51.100.1:5000", "deleted in 7.2/1 192.0.2.10:80 198.51.100.1:5000")
}

// Traffic is made by a Source: its flows are told without loss, however many there are.
func TestFlowsOfTraffic(t *testing.T) {
	s := New(Config{Source: NewTraffic(3, 20_000), Clock: clock.NewVirtual(trafficStart)})
	t.Cleanup(s.Close)
	h := openAt(t, s, "true", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	b := divertdrv.NewBatch(64, 100)
	established, gone := 0, 0
	for h.Recv(b) == nil {
		for _, p := range b.Packets() {
			switch p.Addr.Event() {
			case 1:
				established++
			case 2:
				gone++
			}
		}
		pass(t, h, b)
	}
	st := s.Stats()
	if established-gone > st.Flows || established < 500 || gone < 100 || h.Stats().Lost != 0 {
		t.Errorf("%d flows established, %d deleted, stats %+v", established, gone, st)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
