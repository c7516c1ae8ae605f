package processor

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject"
)

// needing is a callout that declares what it needs.
type needing struct {
	callout
	needs Needs
}

func (n *needing) Needs() Needs { return n.needs }

func needs(n Needs) *needing {
	return &needing{callout{"x", func(*Classification) Verdict { return Verdict{} }}, n}
}

// What is needed, where it is best shown, and at which of the layers a callout that needs it is told so.
func TestHighestLayer(t *testing.T) {
	for _, c := range []struct {
		needs   Needs
		in, out Layer
		lower   []Layer
	}{
		{NeedsFragments, InboundIPPacket, OutboundIPPacket, nil},
		{NeedsPackets, InboundTransport, OutboundTransport, []Layer{InboundIPPacket, OutboundIPPacket}},
		{NeedsStream, InboundTransport, OutboundTransport, []Layer{InboundIPPacket, OutboundIPPacket}},
		{NeedsDatagrams, DatagramData, DatagramData, []Layer{InboundIPPacket, InboundTransport, OutboundTransport, OutboundIPPacket}},
		{
			NeedsFirstPacket, ALEAuthRecvAccept, ALEAuthConnect,
			[]Layer{InboundIPPacket, InboundTransport, OutboundTransport, OutboundIPPacket, DatagramData, InboundICMPError, OutboundICMPError},
		},
	} {
		if in, out := HighestLayer(c.needs, Inbound), HighestLayer(c.needs, Outbound); in != c.in || out != c.out {
			t.Errorf("%v: %v and %v, want %v and %v", c.needs, in, out, c.in, c.out)
		}
		var lower []Layer
		for l := range Layer(Layers) {
			pol := policyOf(t, Filter{Name: "f", Layer: l, Action: ActionCalloutInspection, Callout: needs(c.needs)})
			if all := pol.Advice(); len(all) > 0 {
				lower = append(lower, l)
			}
		}
		if !slices.Equal(lower, c.lower) {
			t.Errorf("%v: told at %v, want %v", c.needs, lower, c.lower)
		}
	}
}

// The reports of the considerations, literally; each once, however many filters name the callout there.
func TestAdvice(t *testing.T) {
	stream, header := needs(NeedsStream), needs(NeedsHeaders)
	pol := policyOf(t,
		Filter{Name: "a", Layer: InboundIPPacket, Action: ActionCalloutUnknown, Callout: stream},
		Filter{Name: "b", Layer: InboundIPPacket, When: when(t, "tcp"), Action: ActionCalloutUnknown, Callout: stream},
		Filter{Name: "c", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: header},
		Filter{Name: "d", Layer: ALEFlowEstablished, Action: ActionBlock},
		Filter{Name: "e", Layer: ALEFlowEstablished, Action: ActionBlock, Reason: "no encryption was agreed on"},
		Filter{Name: "f", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: stream},
	)
	want := []string{
		`filter "a": callout "x": needs stream data but stands at inbound-ippacket; the highest layer that will do is inbound-transport, and packets of IPsec are encrypted here (rule: low-layer)`,
		`filter "c": callout "x": decides only on header fields; a plain filter would do (rule: needless-callout)`,
		`filter "d": BLOCK at ale-flow-established needs a security reason; decide at ale-auth-connect or ale-auth-recv-accept (rule: block-at-established)`,
	}
	var got []string
	for _, v := range pol.Advice() {
		got = append(got, v.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for setting, told := range map[inject.Setting]int{inject.Enforce: 2, inject.Report: 2, inject.Off: 0} {
		n := 0
		p, _ := still(t, Config{
			Policy: pol, Rules: Rules{NeedlessCallout: setting, LowLayer: setting}, OnViolation: func(Violation) { n++ },
		})
		if s := p.Stats().Violations; n != told || int(s[RuleNeedlessCallout]+s[RuleLowLayer]) != told || s[RuleBlockAtEstablished] != 0 {
			t.Errorf("%v: told %d, counted %v, want %d", setting, n, s, told)
		}
		if _, err := p.Apply(pol); err != nil || n != 2*told {
			t.Errorf("%v: told %d after another swap, %v", setting, n, err)
		}
	}
}

// still is a processor to which nothing comes.
func still(t testing.TB, cfg Config) (*Processor, *worker) {
	t.Helper()
	sim := simdrv.New(simdrv.Config{})
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		sim.Close()
	})
	cfg.Handles = []*divertdrv.Handle{h}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p, p.workers[0]
}

// showTo classifies an outbound packet.
func showTo(w *worker, data []byte) result {
	var a divertdrv.Address
	a.SetOutbound(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt()
	return w.judge(inNoBatch, divertdrv.NewPacket(a, data), w.p.now())
}

// A plain filter never runs code of a callout, whatever callouts there are.
func TestPlainFiltersRunNoCallout(t *testing.T) {
	calls := 0
	c := &callout{"c", func(*Classification) Verdict { calls++; return Verdict{} }}
	filters := []Filter{{Name: "elsewhere", Layer: IPForward, Action: ActionCalloutUnknown, Callout: c}}
	for l := range Layer(Layers) {
		if l != IPForward {
			filters = append(filters, Filter{Name: l.String(), Layer: l, When: nil, Action: ActionPermit})
		}
	}
	p, w := still(t, Config{Policy: policyOf(t, filters...)})
	if !showTo(w, tcpOf(here, there, synFlag)).passes() || calls != 0 || p.Stats().Callouts[0].Calls != 0 {
		t.Errorf("%d calls of a callout that no filter names there", calls)
	}
}
