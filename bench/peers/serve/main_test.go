package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/scenarios"
)

// The test's program is the program of peers, when it is told to.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_BENCH_PEERS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Peers find what Weir finds, in every case that is quickly made: Run refuses what does not.
func TestPeersAgree(t *testing.T) {
	t.Setenv("WEIR_BENCH_PEERS", "1")
	p, err := bench.StartPeers(t.Context(), os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for _, s := range scenarios.All() {
		if !slices.ContainsFunc(all(""), func(v bench.Served) bool { return v.Scenario == s.Name }) {
			continue
		}
		if s.Name == "capture" {
			s.Cases[0].Params = bench.P("packets", 500)
		}
		p.Attach(&s)
		s.Settings.Runs, s.Settings.Time = 1, time.Millisecond
		s.Cases = slices.DeleteFunc(slices.Clone(s.Cases), func(c bench.Case) bool { return c.Params.Get("rules") == "10000" || c.Params.Get("size") == "576" })
		r, err := bench.Run(t.Context(), s)
		if err != nil {
			t.Error(err)
		}
		for _, res := range r.Results {
			for _, o := range res.Outcomes {
				if o.Peer && o.Ratio != nil {
					taken++
				}
			}
		}
	}
	if taken < 90 {
		t.Errorf("%d peers took part", taken)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
