package processor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// The names of the layers as WFP's documentation abbreviates them.
var short = strings.NewReplacer(
	"outbound-", "OUT_", "inbound-", "IN_", "ippacket", "IPPACKET", "transport", "TRANSPORT", "datagram-data", "DATAGRAM_DATA",
	"icmp-error", "ICMP_ERROR", "ale-auth-connect", "AUTH_CONNECT", "ale-auth-recv-accept", "AUTH_RECV_ACCEPT",
	"ale-flow-established", "FLOW_ESTABLISHED", "ipforward", "IPFORWARD", "-discard", "_DISCARD",
)

// scribe writes down which layers each packet visits.
type scribe struct{ lines []string }

func (s *scribe) Name() string { return "scribe" }

func (s *scribe) Classify(c *Classification) Verdict {
	last := len(s.lines) - 1
	s.lines[last] += " " + short.Replace(c.Layer.String())
	if c.Reauth {
		s.lines[last] += "(reauth)"
	}
	if c.Cause != 0 {
		s.lines[last] += "(" + c.Cause.String() + ")"
	}
	return Verdict{}
}

func (s *scribe) filters() (all []Filter) {
	for l := range Layer(Layers) {
		all = append(all, Filter{Name: "see-" + l.String(), Layer: l, Action: ActionCalloutInspection, Callout: s})
	}
	return all
}

// stage is a host whose packets are classified one at a time, so that what each visits is known.
type stage struct {
	t *testing.T
	p *Processor
	s *scribe
	h map[divertdrv.Layer]*divertdrv.Handle
}

func newStage(t *testing.T, more ...Filter) *stage {
	t.Helper()
	sim := simdrv.New(simdrv.Config{})
	st := &stage{t: t, s: &scribe{}, h: map[divertdrv.Layer]*divertdrv.Handle{}}
	var handles []*divertdrv.Handle
	for _, l := range []divertdrv.Layer{divertdrv.Network, divertdrv.NetworkForward} {
		h, err := divertdrv.Open("true", l, &divertdrv.Options{Driver: sim})
		if err != nil {
			t.Fatal(err)
		}
		st.h[l] = h
		handles = append(handles, h)
	}
	t.Cleanup(func() {
		for _, h := range handles {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if s := h.Stats(); s.Conserved() != nil {
				t.Error(s.Conserved())
			}
		}
		sim.Close()
	})
	var err error
	if st.p, err = New(Config{Handles: handles, Policy: policyOf(t, append(more, st.s.filters()...)...)}); err != nil {
		t.Fatal(err)
	}
	return st
}

func policyOf(t testing.TB, filters ...Filter) *Policy {
	t.Helper()
	pol, err := NewPolicy(nil, filters)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// show classifies one packet as a worker does and returns whether it passes.
func (st *stage) show(way divertdrv.Layer, outbound bool, data []byte) bool {
	st.t.Helper()
	st.s.lines = append(st.s.lines, "")
	var a divertdrv.Address
	a.SetLayer(way, addr.EventPacket)
	a.SetOutbound(outbound)
	w := st.p.workers[0]
	if way == divertdrv.NetworkForward {
		w = st.p.workers[1]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt()
	r := w.judge(inNoBatch, divertdrv.NewPacket(a, data), w.p.now())
	w.jobs = nil
	return r.passes()
}

func (st *stage) out(data []byte) bool { return st.show(divertdrv.Network, true, data) }
func (st *stage) in(data []byte) bool  { return st.show(divertdrv.Network, false, data) }

var (
	hereAddr, thereAddr = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.9")
	here, there         = netip.AddrPortFrom(hereAddr, 40000), netip.AddrPortFrom(thereAddr, 443)
)

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func tcpOf(from, to netip.AddrPort, flags wire.TCPFlags) []byte {
	return must(craft.TCP(from, to, craft.Segment{Seq: 100, Ack: 200, Flags: flags}, nil))
}

func udpOf(from, to netip.AddrPort) []byte { return must(craft.UDP(from, to, []byte("x"))) }

func headersOf(b []byte) *wire.Headers {
	var h wire.Headers
	wire.Parse(b, &h)
	return &h
}

const (
	synFlag, ackFlag = wire.SYN, wire.ACK
	synAck           = wire.SYN | wire.ACK
)

// The sequences are those of "TCP Packet Flows", "UDP Packet Flows" and of forwarded traffic, literally, but for the layers above
// packets that a divert driver cannot see (RESOURCE_ASSIGNMENT, CONNECT_REDIRECT, STREAM).
func TestTraversal(t *testing.T) {
	ping := must(craft.Echo(hereAddr, thereAddr, 1, 1, nil))
	pong := must(craft.Echo(hereAddr, thereAddr, 1, 1, nil))
	if err := craft.Reply(pong, headersOf(pong)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		show func(st *stage)
		want []string
	}{
		{"TCP, client", func(st *stage) {
			st.out(tcpOf(here, there, synFlag))
			st.in(tcpOf(there, here, synAck))
			st.out(tcpOf(here, there, ackFlag))
			st.out(tcpOf(here, there, ackFlag|wire.PSH))
			st.in(tcpOf(there, here, ackFlag|wire.PSH))
			st.out(tcpOf(here, there, ackFlag|wire.FIN))
			st.in(tcpOf(there, here, ackFlag|wire.FIN))
			st.out(tcpOf(here, there, ackFlag))
			st.out(tcpOf(here, there, synFlag)) // the same ports again
		}, []string{
			"AUTH_CONNECT OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT FLOW_ESTABLISHED",
			"OUT_TRANSPORT OUT_IPPACKET",
			"OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT",
			"OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT",
			"OUT_TRANSPORT OUT_IPPACKET",
			"AUTH_CONNECT OUT_TRANSPORT OUT_IPPACKET",
		}},
		{"TCP, server", func(st *stage) {
			st.in(tcpOf(there, here, synFlag))
			st.in(tcpOf(there, here, synFlag)) // once more
			st.out(tcpOf(here, there, synAck))
			st.in(tcpOf(there, here, ackFlag))
			st.in(tcpOf(there, here, ackFlag|wire.PSH))
		}, []string{
			"IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT",
			"IN_IPPACKET IN_TRANSPORT",
			"OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT FLOW_ESTABLISHED",
			"IN_IPPACKET IN_TRANSPORT",
		}},
		{"TCP, closed port", func(st *stage) {
			st.in(tcpOf(there, here, synFlag))
			st.out(tcpOf(here, there, wire.RST|ackFlag))
		}, []string{
			"IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT",
			"IN_TRANSPORT_DISCARD(no-listener) OUT_TRANSPORT OUT_IPPACKET",
		}},
		{"TCP, midstream", func(st *stage) {
			st.out(tcpOf(here, there, ackFlag|wire.PSH))
			st.in(tcpOf(there, here, ackFlag))
		}, []string{"OUT_TRANSPORT OUT_IPPACKET", "IN_IPPACKET IN_TRANSPORT"}},
		{"UDP, out first", func(st *stage) {
			st.out(udpOf(here, there))
			st.out(udpOf(here, there))
			st.in(udpOf(there, here))
		}, []string{
			"AUTH_CONNECT FLOW_ESTABLISHED DATAGRAM_DATA OUT_TRANSPORT OUT_IPPACKET",
			"DATAGRAM_DATA OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT DATAGRAM_DATA",
		}},
		{"UDP, in first", func(st *stage) {
			st.in(udpOf(there, here))
			st.in(udpOf(there, here))
		}, []string{
			"IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT FLOW_ESTABLISHED DATAGRAM_DATA",
			"IN_IPPACKET IN_TRANSPORT DATAGRAM_DATA",
		}},
		{"UDP, no listener", func(st *stage) {
			asked := udpOf(there, here)
			st.in(asked)
			st.out(must(craft.Unreachable(asked, headersOf(asked), netip.Addr{}, craft.PortUnreachable)))
		}, []string{
			"IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT FLOW_ESTABLISHED DATAGRAM_DATA",
			"IN_IPPACKET_DISCARD(no-listener) OUT_ICMP_ERROR OUT_TRANSPORT OUT_IPPACKET",
		}},
		{"ICMP, out first", func(st *stage) {
			st.out(ping)
			st.in(pong)
		}, []string{
			"AUTH_CONNECT FLOW_ESTABLISHED DATAGRAM_DATA OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT DATAGRAM_DATA",
		}},
		{"ICMP error, in", func(st *stage) {
			sent := udpOf(here, there)
			st.in(must(craft.TimeExceeded(sent, headersOf(sent), thereAddr)))
		}, []string{"IN_IPPACKET IN_TRANSPORT IN_ICMP_ERROR"}},
		{"forwarded", func(st *stage) {
			st.show(divertdrv.NetworkForward, true, tcpOf(there, here, synFlag))
			st.show(divertdrv.NetworkForward, true, tcpOf(here, there, synAck))
		}, []string{"IPFORWARD", "IPFORWARD"}},
		{"fragment, and what is no packet", func(st *stage) {
			fragment := udpOf(there, here)
			fragment[6] |= 0x20
			st.in(fragment)
			st.out([]byte("?"))
		}, []string{"IN_IPPACKET", "OUT_IPPACKET"}},
		{"a new policy, client", func(st *stage) {
			st.out(tcpOf(here, there, synFlag))
			st.in(tcpOf(there, here, synAck))
			st.swap()
			st.in(tcpOf(there, here, ackFlag))
			st.out(tcpOf(here, there, ackFlag))
		}, []string{
			"AUTH_CONNECT OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT FLOW_ESTABLISHED",
			"IN_IPPACKET IN_TRANSPORT AUTH_CONNECT(reauth)",
			"OUT_TRANSPORT OUT_IPPACKET",
		}},
		{"a new policy, server", func(st *stage) {
			st.in(udpOf(there, here))
			st.swap()
			st.out(udpOf(here, there))
			st.in(udpOf(there, here))
		}, []string{
			"IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT FLOW_ESTABLISHED DATAGRAM_DATA",
			"AUTH_RECV_ACCEPT(reauth) DATAGRAM_DATA OUT_TRANSPORT OUT_IPPACKET",
			"IN_IPPACKET IN_TRANSPORT DATAGRAM_DATA",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := newStage(t)
			c.show(st)
			st.check(c.want)
		})
	}
}

func (st *stage) swap() {
	st.t.Helper()
	if _, err := st.p.Apply(policyOf(st.t, st.s.filters()...)); err != nil {
		st.t.Fatal(err)
	}
}

func (st *stage) check(want []string) {
	st.t.Helper()
	for i, line := range st.s.lines {
		if i >= len(want) || strings.TrimSpace(line) != want[i] {
			st.t.Errorf("packet %d visits\n\t%s, want\n\t%s", i, line, strings.Join(want[min(i, len(want)):min(i+1, len(want))], ""))
		}
	}
	if len(st.s.lines) != len(want) {
		st.t.Errorf("%d packets, want %d", len(st.s.lines), len(want))
	}
}

// What blocks, and what is shown then; a block that absorbs is silent.
func TestDiscardLayers(t *testing.T) {
	absorb := &callout{"absorb", func(*Classification) Verdict { return Verdict{Action: Block, Absorb: true} }}
	top := []Sublayer{{"top", 9}}
	for _, c := range []struct {
		layer  Layer
		absorb bool
		show   func(st *stage) bool
		want   string
	}{
		{InboundIPPacket, false, func(st *stage) bool { return st.in(udpOf(there, here)) }, "IN_IPPACKET IN_IPPACKET_DISCARD(filter)"},
		{InboundTransport, false, func(st *stage) bool { return st.in(udpOf(there, here)) }, "IN_IPPACKET IN_TRANSPORT IN_TRANSPORT_DISCARD(filter)"},
		{OutboundTransport, false, func(st *stage) bool { return st.out(tcpOf(here, there, synFlag)) }, "AUTH_CONNECT OUT_TRANSPORT OUT_TRANSPORT_DISCARD(filter)"},
		{OutboundIPPacket, false, func(st *stage) bool { return st.out(tcpOf(here, there, ackFlag)) }, "OUT_TRANSPORT OUT_IPPACKET OUT_IPPACKET_DISCARD(filter)"},
		{ALEAuthConnect, false, func(st *stage) bool { return st.out(tcpOf(here, there, synFlag)) }, "AUTH_CONNECT AUTH_CONNECT_DISCARD(filter)"},
		{ALEAuthRecvAccept, false, func(st *stage) bool { return st.in(tcpOf(there, here, synFlag)) }, "IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT AUTH_RECV_ACCEPT_DISCARD(filter)"},
		{DatagramData, false, func(st *stage) bool { return st.out(udpOf(here, there)) }, "AUTH_CONNECT FLOW_ESTABLISHED DATAGRAM_DATA DATAGRAM_DATA_DISCARD(filter)"},
		{IPForward, false, func(st *stage) bool { return st.show(divertdrv.NetworkForward, true, udpOf(here, there)) }, "IPFORWARD IPFORWARD_DISCARD(filter)"},
		{InboundTransport, true, func(st *stage) bool { return st.in(udpOf(there, here)) }, "IN_IPPACKET IN_TRANSPORT"},
	} {
		f := Filter{Name: "block", Layer: c.layer, Sublayer: "top", Action: ActionBlock}
		if c.absorb {
			f.Action, f.Callout = ActionCalloutTerminating, absorb
		}
		st := newStage(t)
		pol, err := NewPolicy(top, append(st.s.filters(), f))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.p.Apply(pol); err != nil {
			t.Fatal(err)
		}
		if c.show(st) {
			t.Errorf("%v: the packet passes", c.layer)
		}
		st.check([]string{c.want})
	}
}

// Blocking at TRANSPORT_DISCARD suppresses the RST, at IPPACKET_DISCARD the port unreachable ("Management Filtering Layer Identifiers").
func TestBlockingAtADiscardLayerSuppressesTheAnswer(t *testing.T) {
	st := newStage(t,
		Filter{Name: "no-rst", Layer: InboundTransport.Discard(), Weight: 1, Action: ActionBlock},
		Filter{Name: "no-icmp", Layer: InboundIPPacket.Discard(), Weight: 1, Action: ActionBlock})
	st.in(tcpOf(there, here, synFlag))
	if st.out(tcpOf(here, there, wire.RST|ackFlag)) {
		t.Error("the RST leaves")
	}
	asked := udpOf(there, here)
	st.in(asked)
	if st.out(must(craft.Unreachable(asked, headersOf(asked), netip.Addr{}, craft.PortUnreachable))) {
		t.Error("the port unreachable leaves")
	}
}

// A flow that is refused at its opening is none: the next packet is asked about again, and nothing of it goes past.
func TestRefusedFlows(t *testing.T) {
	st := newStage(t, Filter{Name: "no", Layer: ALEAuthConnect, Weight: 1, Action: ActionBlock})
	if st.out(tcpOf(here, there, synFlag)) || st.out(tcpOf(here, there, ackFlag)) || st.out(tcpOf(here, there, synFlag)) {
		t.Error("a packet of a TCP flow that was refused passes")
	}
	if st.out(udpOf(here, there)) || st.out(udpOf(here, there)) || st.in(udpOf(there, here)) == false {
		t.Error("a datagram of a flow that was refused passes, or one that opens a flow of its own does not")
	}
	got := st.p.Stats()
	if n := got.Filters[0].Blocked; n != 4 || got.Refused != 1 {
		t.Errorf("blocked %d times, want 4: each SYN and each datagram; refused %d, want 1: what is no SYN", n, got.Refused)
	}
	st.swap()
	if !st.out(tcpOf(here, there, synFlag)) {
		t.Error("a policy that permits does not let the flow open")
	}
}

// A live flow that a new policy does not want ends, and goes on when a later one wants it again.
func TestReauthorisation(t *testing.T) {
	for _, outbound := range []bool{true, false} {
		st := newStage(t)
		open := func() bool { return st.out(udpOf(here, there)) }
		layer := ALEAuthConnect
		if !outbound {
			open, layer = func() bool { return st.in(udpOf(there, here)) }, ALEAuthRecvAccept
		}
		if !open() {
			t.Fatal("the flow does not open")
		}
		block := policyOf(t, Filter{Name: "no", Layer: layer, Action: ActionBlock})
		if _, err := st.p.Apply(block); err != nil {
			t.Fatal(err)
		}
		if st.out(udpOf(here, there)) || st.in(udpOf(there, here)) {
			t.Errorf("outbound %v: a packet passes that the new policy does not want", outbound)
		}
		if n := st.p.Stats().Refused; n != 1 {
			t.Errorf("refused %d without asking, want 1", n)
		}
		if _, err := st.p.Apply(policyOf(t)); err != nil {
			t.Fatal(err)
		}
		if !st.out(udpOf(here, there)) || !st.in(udpOf(there, here)) {
			t.Errorf("outbound %v: the flow does not go on", outbound)
		}
	}
}

func TestLayers(t *testing.T) {
	for l := range Layer(Layers) {
		parsed, err := ParseLayer(l.String())
		if err != nil || parsed != l {
			t.Errorf("%v: %v, %v", l, parsed, err)
		}
		if d := l.Discard(); !d.IsDiscard() || d.Transport() != l.Transport() || d.Direction() != l.Direction() || d.ALE() != l.ALE() {
			t.Errorf("%v: its discard layer is %v", l, d)
		}
	}
	if _, err := ParseLayer("stream"); err == nil || !strings.Contains(err.Error(), "ale-auth-connect") {
		t.Errorf("an unknown layer: %v", err)
	}
	if got := reason.NoListener.String(); got != "no-listener" {
		t.Error(got)
	}
}
