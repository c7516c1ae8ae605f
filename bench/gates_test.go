package bench_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/bench"
)

// with makes a report of one case, with two variants whose runs take so long.
func with(ours, theirs []time.Duration) *bench.Report {
	runs := func(all []time.Duration) (s []bench.Sample) {
		for _, d := range all {
			s = append(s, bench.Sample{Ops: 1, CPU: d, Counted: true})
		}
		return s
	}
	return &bench.Report{Version: 1, Results: []bench.Result{{
		Scenario: "parse", Params: bench.P("packet", "v4-60"), By: bench.ByCPU,
		Outcomes: []bench.Outcome{{Variant: "weir", Runs: runs(ours)}, {Variant: "peer", Peer: true, Runs: runs(theirs)}, {Variant: "gone", Unable: "it has no driver"}},
	}}}
}

func TestGateJudges(t *testing.T) {
	at := func(variant string) *bench.Place {
		return &bench.Place{Scenario: "parse", Case: "packet=v4-60", Variant: variant}
	}
	number := func(v float64) *float64 { return &v }
	simd := "simd"
	r := with([]time.Duration{10, 20, 30}, []time.Duration{40, 40, 90}) // ratios 4, 2, 3: the median is 3, of the medians it were 2
	for _, c := range []struct {
		name  string
		gate  bench.Gate
		state bench.GateState
		got   float64
		why   string
	}{
		{"gain met", bench.Gate{AtLeast: number(3), Top: at("peer"), Bottom: &bench.Place{Variant: "weir"}}, bench.GateMet, 3, ""},
		{"gain missed", bench.Gate{AtLeast: number(3.1), Top: at("peer"), Bottom: &bench.Place{Variant: "weir"}}, bench.GateMissed, 3, ""},
		{"cost met", bench.Gate{AtMost: number(0.34), Top: at("weir"), Bottom: &bench.Place{Variant: "peer"}}, bench.GateMet, 1.0 / 3, ""},
		{"cost missed", bench.Gate{AtMost: number(0.3), Top: at("weir"), Bottom: &bench.Place{Variant: "peer"}}, bench.GateMissed, 1.0 / 3, ""},
		{"absolute", bench.Gate{AtMost: number(0), Top: &bench.Place{Scenario: "parse", Variant: "weir", Metric: bench.ByAllocs}}, bench.GateMet, 0, ""},
		{"cannot run", bench.Gate{AtMost: number(1), Top: at("weir"), Bottom: &bench.Place{Variant: "gone"}}, bench.GateUnknown, 0, "gone: it has no driver"},
		{"did not take part", bench.Gate{AtMost: number(1), Top: at("weir"), Bottom: &bench.Place{Variant: "other"}}, bench.GateUnknown, 0, "see --peers"},
		{"other build", bench.Gate{AtMost: number(1), Experiment: &simd, Top: at("weir")}, bench.GateUnknown, 0, "GOEXPERIMENT=simd"},
		{"no scenario", bench.Gate{AtMost: number(1), Top: &bench.Place{Scenario: "dpc"}}, bench.GateUnknown, 0, "dpc was not measured"},
		{"no such thing", bench.Gate{AtMost: number(1), Why: "there is none"}, bench.GateUnknown, 0, "there is none"},
	} {
		res := c.gate.Judge(r)
		if res.State != c.state || !strings.Contains(res.Why, c.why) || (res.Got == nil) != (c.state == bench.GateUnknown) || res.Got != nil && res.Got.Median != c.got {
			t.Errorf("%s: %+v, got %+v", c.name, res, res.Got)
		}
	}
}

func TestGatesAreWhole(t *testing.T) {
	gates, err := bench.Gates()
	if err != nil || len(gates) < 40 {
		t.Fatalf("%d goals, %v", len(gates), err)
	}
	for _, g := range gates {
		if g.Group == "" || g.What == "" || g.Ask() == "" {
			t.Errorf("%+v", g)
		}
	}
}
