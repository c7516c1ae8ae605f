package scenarios

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/memdrv"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

// classifyRing is how many packets, each of a flow of its own, take turns.
const classifyRing = 256

// classify: every other packet is one that a filter matches, and is blocked.
func classify() bench.Scenario {
	s := bench.Scenario{
		Name: "classify", Op: "one packet, from Recv to Complete", Settings: bench.Settings{Procs: 1},
		About: "a processor with 1 to 10,000 filters: headers, flow, layers, arbitration, verdict, counters; 256 flows, half of the packets blocked",
	}
	ours := bench.Variant{Name: "weir", About: "processor.Run on a driver in memory", Start: startClassify}
	bare := bench.Variant{Name: "no processor", About: "the same driver and handle, all packets passed", Start: startBare}
	for _, n := range []string{"1", "10", "100", "1000", "10000"} {
		variants := []bench.Variant{ours}
		if n == "1" {
			variants = append(variants, bare)
		}
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("filters", n, "set", "mixed"), Variants: variants})
	}
	s.Cases = append(s.Cases, bench.Case{Params: bench.P("filters", 10_000, "set", "adversarial"), Variants: []bench.Variant{ours}})
	return s
}

func startClassify(_ context.Context, env bench.Env) (bench.Trial, error) {
	policy, ring, err := classifyWork(env)
	if err != nil {
		return bench.Trial{}, err
	}
	e, err := newEngine("true", memdrv.Config{Next: inTurn(outbound(), ring)}, processor.Config{Policy: policy})
	if err != nil {
		return bench.Trial{}, err
	}
	if err := e.do(len(ring)); err != nil {
		return e.fail(err)
	}
	if s := e.handle.Stats(); s.Passed != classifyRing/2 || s.DroppedTotal() != classifyRing/2 {
		return e.fail(fmt.Errorf("%d packets passed and %d were dropped, want %d of each", s.Passed, s.DroppedTotal(), classifyRing/2))
	}
	return bench.Trial{Close: e.close, Run: bench.Loop(bench.Work{Each: 64, Packets: 1, Bytes: workload.MeanLen(ring), Do: e.do})}, nil
}

func startBare(_ context.Context, env bench.Env) (bench.Trial, error) {
	_, ring, err := classifyWork(env)
	if err != nil {
		return bench.Trial{}, err
	}
	r, err := newReader("true", memdrv.Config{Next: inTurn(outbound(), ring)})
	if err != nil {
		return bench.Trial{}, err
	}
	return bench.Trial{Close: r.close, Run: bench.Loop(bench.Work{Each: 64, Packets: 1, Bytes: workload.MeanLen(ring), Do: r.drv.Do})}, nil
}

// classifyWork makes filters and packets.
func classifyWork(env bench.Env) (*processor.Policy, [][]byte, error) {
	n, err := strconv.Atoi(env.Params.Get("filters"))
	if err != nil {
		return nil, nil, err
	}
	texts, ends := workload.MixedFilters(env.Seed, n)
	if env.Params.Get("set") == "adversarial" {
		texts, ends = workload.Adversary(env.Seed, n)
	}
	policy, err := policyOf(texts, processor.ActionBlock)
	if err != nil {
		return nil, nil, err
	}
	ring := make([][]byte, classifyRing)
	for i := range ring {
		hit := ends[(i*7919)%n]
		if i%2 == 0 {
			hit = workload.Stranger(i)
		}
		if ring[i], err = craft.TCP(hit[0], hit[1], craft.Segment{Flags: wire.ACK}, make([]byte, 20)); err != nil {
			return nil, nil, err
		}
		if env.Params.Get("set") != "adversarial" { // whose filters look at source ports
			binary.BigEndian.PutUint16(ring[i][20:], uint16(1024+i)) // as many flows, whatever the number of filters
		}
	}
	return policy, ring, nil
}

// policyOf makes a filter of each text at OutboundIPPacket, in this order.
func policyOf(texts []string, action processor.FilterAction) (*processor.Policy, error) {
	var filters []processor.Filter
	for i, text := range texts {
		when, err := filter.Parse(text, divertdrv.Network)
		if err != nil {
			return nil, err
		}
		filters = append(filters, processor.Filter{Name: fmt.Sprint("f", i), Layer: processor.OutboundIPPacket, When: when, Action: action})
	}
	return processor.NewPolicy(nil, filters)
}
