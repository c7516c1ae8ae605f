package filter

import (
	"context"
	"strings"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// Served are the peers of scenario filter: all engines but Weir's, which the scenario has itself.
func Served() (all []bench.Served) {
	for _, e := range Engines {
		if !strings.HasPrefix(e.Name, "Weir") {
			all = append(all, bench.Served{Scenario: "filter", Variant: bench.Variant{Name: e.Name, Start: start(e)}})
		}
	}
	return all
}

func start(e Engine) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		t, err := workload.NewTraffic(env.Params.Get("traffic"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		match, err := e.Make(Name(env.Params.Get("filter")))
		if err != nil {
			return bench.Trial{}, err
		}
		hits := make([]bool, len(t.Data))
		match(t, hits)
		return bench.Trial{Digest: workload.Hits(hits), Run: bench.Loop(bench.Work{
			Each: len(hits), Packets: 1, Bytes: workload.MeanLen(t.Data),
			Do: func(n int) error {
				for range n / len(hits) {
					match(t, hits)
				}
				return nil
			},
		})}, nil
	}
}
