package scenarios_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/scenarios"
)

// Every scenario runs, its variants agree, nothing of ours allocates for a packet, and nothing is left running. What takes long to
// build has smaller cases beside it.
func TestAll(t *testing.T) {
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			s.Settings.Runs, s.Settings.Time = 1, 2*time.Millisecond
			s.Cases = slices.DeleteFunc(slices.Clone(s.Cases), func(c bench.Case) bool {
				return c.Params.Get("rules") == "10000" || c.Params.Get("filters") == "10000" || len(c.Params.Get("flows")) > 5
			})
			if s.Name == "capture" {
				s.Cases[0].Params = bench.P("packets", 500)
			}
			r, err := bench.Run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if s.Unable == nil && len(r.Results) != len(s.Cases) || s.Unable != nil && len(r.Unable) != 1 {
				t.Errorf("%d results and %d without, of %d cases", len(r.Results), len(r.Unable), len(s.Cases))
			}
			for _, res := range r.Results {
				for _, o := range res.Outcomes {
					if o.Unable == "" && (len(o.Runs) != 1 || o.Runs[0].Ops == 0) {
						t.Errorf("%s, %s: %+v", res.Name(), o.Variant, o.Runs)
					}
				}
			}
		})
	}
}

// The goals name scenarios, cases and variants that there are; peers of other modules are theirs to name.
func TestGatesNameWhatThereIs(t *testing.T) {
	gates, err := bench.Gates()
	if err != nil {
		t.Fatal(err)
	}
	all := scenarios.All()
	for _, g := range gates {
		if g.Top == nil || g.Top.Scenario == "nfqueue" {
			continue
		}
		at := slices.IndexFunc(all, func(s bench.Scenario) bool { return s.Name == g.Top.Scenario })
		if at < 0 {
			t.Errorf("%s, %s: no scenario %q", g.Group, g.What, g.Top.Scenario)
			continue
		}
		ours := false
		for _, p := range []*bench.Place{g.Top, g.Bottom} {
			if p == nil {
				continue
			}
			ours = ours || p.Variant == "" || slices.ContainsFunc(all[at].Cases[0].Variants, func(v bench.Variant) bool { return v.Name == p.Variant })
			if p.Case != "" && !slices.ContainsFunc(all[at].Cases, func(c bench.Case) bool { return c.Params.String() == p.Case }) {
				t.Errorf("%s, %s: scenario %s has no case %q", g.Group, g.What, g.Top.Scenario, p.Case)
			}
		}
		if !ours {
			t.Errorf("%s, %s: no variant of ours", g.Group, g.What)
		}
	}
}
