package processor

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

func TestPanicsOfCalloutsAreContained(t *testing.T) {
	boom := &callout{"boom", func(*Classification) Verdict { panic("boom") }}
	b := newBench(t, nil, []Sublayer{{"a", 9}, {"b", 1}},
		Filter{Name: "inspect", Layer: OutboundTransport, Sublayer: "a", When: when(t, "tcp.DstPort == 80"), Action: ActionCalloutInspection, Callout: boom},
		Filter{Name: "decide", Layer: OutboundTransport, Sublayer: "b", When: when(t, "tcp.DstPort == 81"), Action: ActionCalloutUnknown, Callout: boom},
		Filter{Name: "later", Layer: OutboundTransport, Sublayer: "b", When: when(t, "tcp.DstPort == 82"), Action: ActionCalloutUnknown, Callout: &callout{"later", func(c *Classification) Verdict {
			c.Defer(func(*Deferred) { panic("later") })
			return Verdict{}
		}}},
	)
	for port := uint16(80); port < 83; port++ {
		_ = b.sim.Send(tcp(port, 16, byte(port)))
	}
	s := b.finish()
	if s.Passed != 2 || s.Dropped[reason.CalloutPanic] != 1 || b.p.Stats().Panics != 3 {
		t.Errorf("stats %+v %+v", s, b.p.Stats())
	}
}

func TestMisuseOfABatchIsNotContained(t *testing.T) {
	b := newBench(t, nil, nil, Filter{Name: "f", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: &callout{"f", func(c *Classification) Verdict {
		if _, err := c.Hold(0, divertdrv.Drop); err != nil {
			t.Error(err)
		}
		c.Packet.Edit() // held
		return Verdict{}
	}}})
	_ = b.sim.Send(tcp(80, 16, 0))
	w := b.p.workers[0]
	if err := b.p.order.start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, ok := recover().(divertdrv.Misuse); !ok {
			t.Error("want a panic of type Misuse")
		}
		_ = b.p.order.close(time.Minute)
		b.sim.Close()
	}()
	_ = w.run()
}

// A terminating callout that does not decide fails closed, an inspection callout that does is ignored: both are breaches.
func TestContractsOfCallouts(t *testing.T) {
	say := func(v Verdict) *callout { return &callout{"say", func(*Classification) Verdict { return v }} }
	for _, c := range []struct {
		name     string
		action   FilterAction
		verdict  Verdict
		passes   bool
		breaches uint64
	}{
		{"terminating continues", ActionCalloutTerminating, Verdict{}, false, 1},
		{"terminating permits", ActionCalloutTerminating, Verdict{Action: Permit}, true, 0},
		{"terminating blocks", ActionCalloutTerminating, Verdict{Action: Block}, false, 0},
		{"inspection continues", ActionCalloutInspection, Verdict{}, true, 0},
		{"inspection permits", ActionCalloutInspection, Verdict{Action: Permit}, true, 0},
		{"inspection blocks", ActionCalloutInspection, Verdict{Action: Block}, true, 1},
		{"unknown continues", ActionCalloutUnknown, Verdict{}, true, 0},
		{"unknown blocks", ActionCalloutUnknown, Verdict{Action: Block}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, nil, nil, Filter{Name: "f", Layer: OutboundTransport, Action: c.action, Callout: say(c.verdict)})
			_ = b.sim.Send(tcp(80, 16, 0))
			s := b.finish()
			if (s.Passed == 1) != c.passes || b.p.Stats().Breaches != c.breaches {
				t.Errorf("passed %d, breaches %d", s.Passed, b.p.Stats().Breaches)
			}
		})
	}
}
