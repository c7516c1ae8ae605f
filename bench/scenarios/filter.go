package scenarios

import (
	"context"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// filtering is scenario filter.
func filtering() bench.Scenario {
	s := bench.Scenario{
		Name: "filter", Op: "one packet matched",
		About: "filters of 1, 4 and 40 tests over 4,096 mixed packets, and over one hot packet that each accepts or refuses",
	}
	variants := []bench.Variant{
		{Name: "weir", About: "Program.MatchBatch of 64, packets parsed before", Start: matcher(matchBatches)},
		{Name: "weir Match", About: "one by one, packets parsed before", Start: matcher(matchEach)},
		{Name: "weir parse+Match", About: "one by one, from the bytes", Start: matcher(matchRaw)},
	}
	for _, traffic := range workload.FilterTraffic {
		for _, name := range workload.FilterNames {
			s.Cases = append(s.Cases, bench.Case{Params: bench.P("filter", name, "traffic", traffic), Variants: variants})
		}
	}
	return s
}

// matching sets hits to the program's answers.
type matching func(p *filter.Program, t *workload.Traffic, hits []bool)

func matchBatches(p *filter.Program, t *workload.Traffic, hits []bool) {
	for i := 0; i < len(hits); i += 64 {
		to := min(i+64, len(hits))
		p.MatchBatch(t.Views[i:to], hits[i:to])
	}
}

func matchEach(p *filter.Program, t *workload.Traffic, hits []bool) {
	for i := range hits {
		hits[i] = p.Match(&t.Addrs[i], t.Data[i], &t.Headers[i])
	}
}

func matchRaw(p *filter.Program, t *workload.Traffic, hits []bool) {
	for i := range hits {
		hits[i] = p.Match(&t.Addrs[i], t.Data[i], nil)
	}
}

func matcher(match matching) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		t, err := workload.NewTraffic(env.Params.Get("traffic"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		prog, err := filter.Parse(workload.FilterName(env.Params.Get("filter")).Text(), divertdrv.Network)
		if err != nil {
			return bench.Trial{}, err
		}
		hits := make([]bool, len(t.Data))
		match(prog, t, hits)
		return bench.Trial{Digest: workload.Hits(hits), Run: bench.Loop(bench.Work{
			Each: len(hits), Packets: 1, Bytes: workload.MeanLen(t.Data),
			Do: func(n int) error {
				for range n / len(hits) {
					match(prog, t, hits)
				}
				return nil
			},
		})}, nil
	}
}
