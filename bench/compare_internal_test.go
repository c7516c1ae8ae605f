package bench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestMannWhitney(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64 // by R: wilcox.test(a, b)$p.value
	}{
		{"apart, 3 and 3", []float64{1, 2, 3}, []float64{4, 5, 6}, 0.1},
		{"apart, 5 and 5", []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{"mixed", []float64{1, 3, 5, 7}, []float64{2, 4, 6, 8}, 48.0 / 70},
		{"one and one", []float64{1}, []float64{2}, 1},
		{"all one value", []float64{4, 4, 4}, []float64{4, 4, 4}, 1},
		{"the other way round", []float64{4, 5, 6}, []float64{1, 2, 3}, 0.1},
	} {
		if got := mannWhitney(c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %.6f, want %.6f", c.name, got, c.want)
		}
	}
}

// The exact distribution is what counting all orders gives.
func TestMannWhitneyExact(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for m := 1; m <= 5; m++ {
			counts, total := orders(n, m)
			for u := 0; u <= n*m/2; u++ {
				low := 0.0
				for k := 0; k <= u; k++ {
					low += counts[k]
				}
				if got, want := exactP(u, n, m), min(2*low/total, 1); math.Abs(got-want) > 1e-12 {
					t.Errorf("n %d, m %d, U %d: %.6f, want %.6f", n, m, u, got, want)
				}
			}
		}
	}
}

// orders counts all orders of n and m values by U, the slow way.
func orders(n, m int) (counts map[int]float64, total float64) {
	counts = map[int]float64{}
	for set := range 1 << (n + m) {
		first, u, second := 0, 0, 0
		for bit := range n + m {
			if set>>bit&1 == 1 {
				first++
				u += second
			} else {
				second++
			}
		}
		if first == n {
			counts[u]++
			total++
		}
	}
	return counts, total
}

// The normal distribution, where values are many, is near the exact one; and ties are taken into account.
func TestMannWhitneyNormal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, b := make([]float64, 30), make([]float64, 30)
	for i := range a {
		a[i], b[i] = r.Float64(), r.Float64()+0.2
	}
	exact := mannWhitney(a, b)
	a, b = append(a, 0.5), append(b, 0.5) // a tie, and too many for the exact one
	if normal := mannWhitney(a, b); math.Abs(normal-exact) > 0.02 {
		t.Errorf("normal %.4f, exact %.4f", normal, exact)
	}
}

func TestCompare(t *testing.T) {
	report := func(ns float64, runs int) *Report {
		r := &Report{Results: []Result{{Scenario: "parse", By: ByTime, Outcomes: []Outcome{{Variant: "weir"}, {Variant: "old only"}}}}}
		for i := range runs {
			r.Results[0].Outcomes[0].Runs = append(r.Results[0].Outcomes[0].Runs, Sample{Ops: 1000, Elapsed: durationOf(ns*1000) + durationOf(float64(i))})
		}
		return r
	}
	old, now := report(10, 8), report(20, 8)
	now.Results[0].Outcomes[1].Variant = "new only"
	changes := Compare(old, now)
	if len(changes) != 1 || !changes[0].Significant || changes[0].Variant != "weir" || math.Abs(changes[0].After/changes[0].Before-2) > 0.01 {
		t.Errorf("%+v", changes)
	}
	if same := Compare(old, report(10, 8)); len(same) != 1 || same[0].Significant {
		t.Errorf("%+v", same)
	}
}

func durationOf(ns float64) time.Duration { return time.Duration(ns) }
