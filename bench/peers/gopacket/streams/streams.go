// Package streams measures google/gopacket's tcpassembly. The fork's cannot be in the same program: both define the same flags of the
// command line, which panics at the start.
package streams

import (
	"context"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/tcpassembly"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// reader reads streams for the digest.
type reader struct{ workload.Reading }

// New makes r the reader of every stream.
func (r *reader) New(_, _ gopacket.Flow) tcpassembly.Stream { return r }

// Reassembled has what comes next.
func (r *reader) Reassembled(all []tcpassembly.Reassembly) {
	for i := range all {
		r.Data(all[i].Bytes)
	}
}

// ReassemblyComplete is the end.
func (r *reader) ReassemblyComplete() { r.Ends++ }

// Served is the variant.
func Served() []bench.Served {
	return []bench.Served{{Scenario: "streams", Variant: bench.Variant{
		Name: "gopacket tcpassembly", About: "google/gopacket v1.1.19: tcpassembly, given decoded layers", Start: start,
	}}}
}

func start(_ context.Context, env bench.Env) (bench.Trial, error) {
	ring, err := workload.Stream(env.Params.Get("order"), env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	nets, tcps := make([]gopacket.Flow, len(ring)), make([]*layers.TCP, len(ring))
	for i, pkt := range ring {
		p := gopacket.NewPacket(pkt, layers.LayerTypeIPv4, gopacket.DecodeOptions{NoCopy: true})
		nets[i] = p.NetworkLayer().NetworkFlow()
		tcps[i], _ = p.TransportLayer().(*layers.TCP)
	}
	r := &reader{}
	a := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(r))
	now := time.Unix(0, 0)
	do := func(n int) error {
		for range n / len(ring) {
			now = now.Add(1)
			for i := range ring {
				a.AssembleWithTimestamp(nets[i], tcps[i], now)
			}
		}
		return nil
	}
	_ = do(len(ring))
	return bench.Trial{Digest: r.String(), Run: bench.Loop(bench.Work{Each: len(ring), Packets: 1, Bytes: workload.MeanLen(ring), Do: do})}, nil
}
