package scenarios

import (
	"context"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv/wire"
)

func parse() bench.Scenario {
	s := bench.Scenario{
		Name: "parse", Op: "one packet parsed",
		About: "headers of IPv4 and IPv6 packets: hot, and a ring of 4,096 packets that does not stay in the first cache",
	}
	ours := bench.Variant{Name: "weir", About: "wire.Parse", Start: startParse}
	for _, p := range workload.ParseCases {
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("packet", p), Variants: []bench.Variant{ours}})
	}
	return s
}

func startParse(_ context.Context, env bench.Env) (bench.Trial, error) {
	ring, err := workload.ParseRing(env.Params.Get("packet"), env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	var h wire.Headers
	var d workload.Digest
	for _, pkt := range ring {
		wire.Parse(pkt, &h)
		tcp := h.TCP(pkt)
		d.Add(uint64(h.Version), uint64(tcp.SrcPort()), uint64(tcp.DstPort()), uint64(tcp.Seq()), uint64(h.PayloadLen()))
	}
	at := 0
	return bench.Trial{Digest: d.String(), Run: bench.Loop(bench.Work{Packets: 1, Bytes: workload.MeanLen(ring), Do: func(n int) error {
		for range n {
			if at++; at >= len(ring) {
				at = 0
			}
			wire.Parse(ring[at], &h)
		}
		return nil
	}})}, nil
}
