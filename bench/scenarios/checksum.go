package scenarios

import (
	"context"
	"fmt"
	"runtime"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv/wire"
)

func checksum() bench.Scenario {
	s := bench.Scenario{
		Name: "checksum", Op: "one Internet checksum",
		About: "the sum of RFC 1071 over a buffer that stays in the cache",
	}
	ours := bench.Variant{Name: "weir", About: "wire.Sum, wire.Fold", Start: startChecksum}
	for _, size := range workload.SumSizes {
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("size", size), Variants: []bench.Variant{ours}})
	}
	return s
}

func startChecksum(_ context.Context, env bench.Env) (bench.Trial, error) {
	data, err := workload.SumData(env.Params.Get("size"), env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	return bench.Trial{
		Digest: fmt.Sprintf("%04x", wire.Fold(wire.Sum(data, 0))),
		Run: bench.Loop(bench.Work{Packets: 1, Bytes: float64(len(data)), Do: func(n int) error {
			var sum uint16
			for range n {
				sum = wire.Fold(wire.Sum(data, 0))
			}
			runtime.KeepAlive(sum)
			return nil
		}}),
	}, nil
}
