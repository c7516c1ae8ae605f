package processor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

// A callout that takes a millisecond overruns its budget with each packet; one that takes none, never.
func TestTimeBudget(t *testing.T) {
	for setting, counted := range map[inject.Setting]bool{inject.Enforce: true, inject.Report: true, inject.Off: false} {
		virtual := clock.NewVirtual(time.Unix(0, 0))
		slow := &callout{"slow", func(*Classification) Verdict {
			virtual.Advance(1030 * time.Microsecond)
			return Verdict{}
		}}
		quick := &callout{"quick", func(*Classification) Verdict { return Verdict{} }}
		var told []string
		p, w := still(t, Config{
			Clock: virtual, Rules: Rules{TimeBudget: setting}, OnViolation: func(v Violation) { told = append(told, v.String()) },
			Policy: policyOf(t,
				Filter{Name: "f", Layer: OutboundTransport, Weight: 1, Action: ActionCalloutInspection, Callout: slow},
				Filter{Name: "g", Layer: OutboundTransport, Action: ActionCalloutInspection, Callout: quick}),
		})
		for range 10 {
			showTo(w, tcpOf(here, there, ackFlag))
		}
		s := p.Stats()
		want := [2]CalloutStats{{Name: "slow"}, {Name: "quick"}}
		if counted {
			want[0].Calls, want[0].Overruns, want[0].Took[12] = 10, 10, 10 // 1.03 ms < 256 ns << 12
			want[1].Calls, want[1].Took[0] = 10, 10
		}
		if len(s.Callouts) != 2 || s.Callouts[0] != want[0] || s.Callouts[1] != want[1] || s.Violations[RuleTimeBudget] != want[0].Overruns || len(told) != int(want[0].Overruns) {
			t.Errorf("%v: %+v, told %d", setting, s.Callouts, len(told))
		}
		const text = `filter "f": callout "slow": took 1.03ms at outbound-transport, budget 100µs; move the work to a deferred queue (rule: time-budget)`
		if counted && told[0] != text {
			t.Errorf("told %s", told[0])
		}
		if counted && (s.Callouts[0].Quantile(0.5) != 256<<12 || s.Callouts[1].Quantile(1) != 256) {
			t.Errorf("medians %v, %v", s.Callouts[0].Quantile(0.5), s.Callouts[1].Quantile(1))
		}
	}
}

// dawdler lets time pass, but not while it is called.
type dawdler struct {
	callout
	dawdle func()
}

func (d *dawdler) Followed(uint64, Outcome) { d.dawdle() }

func (d *dawdler) Judged(int, *divertdrv.Packet, Outcome, *Explanation) { d.dawdle() }

func (*dawdler) Wants(int, *divertdrv.Packet) bool { return false }

// What others do between two calls of callouts in a batch is counted to neither: who follows a packet, who observes it, who is told of
// a violation.
func TestBudgetIsOfCalloutsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		slow              bool
		follow            uint64
		tells, observes   bool
		overrun, inBudget uint64
	}{
		"nothing":   {inBudget: 4},
		"following": {follow: 1, inBudget: 4},
		"observing": {observes: true, inBudget: 4},
		"telling":   {slow: true, tells: true, overrun: 4},
	} {
		virtual := clock.NewVirtual(time.Unix(0, 0))
		dawdle := func() { virtual.Advance(5 * time.Millisecond) }
		d := &dawdler{dawdle: dawdle, callout: callout{"d", func(*Classification) Verdict {
			if c.slow {
				virtual.Advance(time.Millisecond)
			}
			return Verdict{Follow: c.follow}
		}}}
		sim := simdrv.New(simdrv.Config{Source: &portSource{t: t}, Clock: virtual})
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{
			Handles: []*divertdrv.Handle{h}, Settle: true, Clock: virtual,
			Policy: policyOf(t, Filter{Name: "f", Layer: DatagramData, Action: ActionCalloutInspection, Callout: d}),
		}
		if c.tells {
			cfg.OnViolation = func(Violation) { dawdle() }
		}
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if c.observes {
			p.Observe(d)
		}
		if err := errors.Join(p.Run(context.Background()), h.Close()); err != nil {
			t.Fatal(err)
		}
		sim.Close()
		s := p.Stats().Callouts[0]
		if s.Overruns != c.overrun || s.Took[0] != c.inBudget || s.Took[12] != c.overrun || s.Calls != 4 {
			t.Errorf("%s: %+v", name, s)
		}
		if st := h.Stats(); st.Conserved() != nil || st.Passed != 4 {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

func TestBudgetIsChecked(t *testing.T) {
	sim := simdrv.New(simdrv.Config{})
	defer sim.Close()
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := New(Config{Handles: []*divertdrv.Handle{h}, Budget: -1}); err == nil || errors.Is(err, ErrInUse) {
		t.Errorf("a budget of -1: %v", err)
	}
}
