// Package tailscale measures the parser of tailscale.com, net/packet.
package tailscale

import (
	"context"
	"encoding/binary"

	"tailscale.com/net/packet"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// Served is the peer of scenario parse.
func Served() []bench.Served {
	return []bench.Served{{Scenario: "parse", Variant: bench.Variant{
		Name: "tailscale", About: "tailscale.com v1.98.0: net/packet, Parsed.Decode", Start: start,
	}}}
}

func start(_ context.Context, env bench.Env) (bench.Trial, error) {
	ring, err := workload.ParseRing(env.Params.Get("packet"), env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	var p packet.Parsed
	var d workload.Digest
	for _, pkt := range ring {
		p.Decode(pkt)
		seq := binary.BigEndian.Uint32(p.Transport()[4:]) // Parsed has no field for it
		d.Add(uint64(p.IPVersion), uint64(p.Src.Port()), uint64(p.Dst.Port()), uint64(seq), uint64(len(p.Payload())))
	}
	at := 0
	return bench.Trial{Digest: d.String(), Run: bench.Loop(bench.Work{Packets: 1, Bytes: workload.MeanLen(ring), Do: func(n int) error {
		for range n {
			if at++; at >= len(ring) {
				at = 0
			}
			p.Decode(ring[at])
		}
		return nil
	}})}, nil
}
