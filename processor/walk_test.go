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
