package processor

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

func outboundPacket(data []byte) *divertdrv.Packet {
	var a divertdrv.Address
	a.SetLayer(divertdrv.Network, addr.EventPacket)
	a.SetOutbound(true)
	return divertdrv.NewPacket(a, data)
}

func explainer(t *testing.T, pol *Policy) *Explainer {
	t.Helper()
	x, err := NewExplainer(pol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func TestExplain(t *testing.T) {
	veto := &callout{"guard", func(c *Classification) Verdict {
		if c.Rights&RightActionWrite == 0 {
			return Verdict{Action: Block, Cause: reason.Callout}
		}
		return Verdict{}
	}}
	pol, err := NewPolicy([]Sublayer{{"high", 100}, {"low", 1}}, []Filter{
		{Name: "web", Layer: OutboundTransport, Sublayer: "high", Weight: 7, When: when(t, "tcp.DstPort == 80 or tcp.DstPort == 443"), Action: ActionPermit, Hard: true},
		{Name: "mail", Layer: OutboundTransport, Sublayer: "high", Weight: 9, When: when(t, "tcp.DstPort == 25"), Action: ActionBlock},
		{Name: "suspicious", Layer: OutboundTransport, Sublayer: "low", When: when(t, "tcp.Syn"), Action: ActionCalloutUnknown, Callout: veto},
		{Name: "late", Layer: OutboundTransport.Discard(), Action: ActionPermit},
	})
	if err != nil {
		t.Fatal(err)
	}
	x := explainer(t, pol)
	e := x.Explain(outboundPacket(tcpOf(here, there, synFlag)))
	const want = `outbound tcp 10.0.0.1:40000 > 192.0.2.9:443 syn, 40 bytes
flow: opening, opened by this host
layer ale-auth-connect
  no filters
layer outbound-transport
  sublayer high, right to write yes -> no
    filter "mail", weight 9, block: no match
      tcp.DstPort = 25: value 443, false
    filter "web", weight 7, permit: matches, says hard permit
      tcp.DstPort = 80: value 443, false
      tcp.DstPort = 443: value 443, true
  sublayer low, right to write no -> no
    filter "suspicious", weight 0, callout-unknown "guard": matches, says soft block
      tcp.Syn: value 1, true
  => block by "suspicious", a veto
layer outbound-transport-discard, discarded: callout
  sublayer default, right to write yes -> yes
    filter "late", weight 0, permit: matches, says soft permit
      no conditions
  => permit by "late"
verdict: drop (callout): filter "suspicious" at outbound-transport
`
	if got := e.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"verdict":"drop"`, `"cause":"callout"`, `"right_before":false`, `"outcome":"true"`, `"veto":true`} {
		if !strings.Contains(string(b), part) {
			t.Errorf("%s is not in %s", part, b)
		}
	}
	x.Feed(outboundPacket(tcpOf(here, there, ackFlag)))
	e = x.Explain(outboundPacket([]byte("?")))
	if got := e.String(); !strings.HasPrefix(got, "outbound, 1 bytes that are no IP packet\nlayer outbound-ippacket\n  no filters\n") || !strings.HasSuffix(got, "verdict: pass\n") {
		t.Errorf("no packet: %s", got)
	}
}

// A flow that was refused, a block that does not count, and what callouts put in are told.
func TestExplainSpecialCases(t *testing.T) {
	x := explainer(t, policyOf(t, Filter{Name: "no", Layer: ALEAuthConnect, Action: ActionBlock}))
	x.Feed(outboundPacket(tcpOf(here, there, synFlag)))
	if got := x.Explain(outboundPacket(tcpOf(here, there, ackFlag))).String(); !strings.Contains(got, "verdict: drop (filter): the flow was refused before") {
		t.Error(got)
	}
	x = explainer(t, policyOf(t, Filter{Name: "late", Layer: ALEFlowEstablished, Action: ActionBlock}))
	if got := x.Explain(outboundPacket(udpOf(here, there))).String(); !strings.Contains(got, "it does not count: a block at ale-flow-established needs a security reason") || !strings.HasSuffix(got, "verdict: pass\n") {
		t.Error(got)
	}
	x = explainer(t, policyOf(t, Filter{Name: "late", Layer: ALEFlowEstablished, Action: ActionBlock, Reason: "worm"}))
	x.Feed(outboundPacket(tcpOf(here, there, synFlag)))
	if e := x.Explain(inboundPacket(tcpOf(there, here, synAck))); e.Verdict != "drop" || e.Layers[2].Sublayers[0].Filters[0].Verdict != "hard block, because worm" {
		t.Error(e)
	}
}

func inboundPacket(data []byte) *divertdrv.Packet {
	p := outboundPacket(data)
	p.Addr.SetOutbound(false)
	return p
}

// An explanation comes to the verdict that the engine comes to without it.
func TestExplanationsAreTrue(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	for range 50 {
		var filters []Filter
		for i := range 1 + rng.IntN(30) {
			l := Layer(rng.IntN(int(discards)))
			if l == IPForward {
				continue
			}
			f := Filter{Name: strings.Repeat("x", i+1), Layer: l, When: when(t, condition(rng.IntN)), Action: FilterAction(1 + rng.IntN(2)), Weight: uint64(rng.IntN(5))}
			filters = append(filters, f)
		}
		pol := policyOf(t, filters...)
		explained, engine := explainer(t, pol), explainer(t, pol)
		for range 50 {
			pkt := somePacket(rng.IntN)
			p, q := outboundPacket(pkt), outboundPacket(pkt)
			if rng.IntN(2) == 0 {
				p, q = inboundPacket(pkt), inboundPacket(pkt)
			}
			e := explained.Explain(p)
			w := engine.p.workers[0]
			w.mu.Lock()
			w.adopt()
			r := w.judge(inNoBatch, q, engine.p.now())
			w.mu.Unlock()
			w.submit()
			if (e.Verdict == "pass") != r.passes() || !r.passes() && e.Cause != r.cause.String() {
				t.Fatalf("explained as\n%v\nthe engine says %+v", e, r)
			}
		}
	}
}
