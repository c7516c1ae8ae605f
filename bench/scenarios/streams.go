package scenarios

import (
	"context"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/processor/stream"
)

func streams() bench.Scenario {
	s := bench.Scenario{
		Name: "streams", Op: "one segment of 1,460 bytes, of which the headers are parsed",
		About: "TCP put in order: the connection looked up, its bytes handed to a reader that touches the first and the last of them",
	}
	for _, o := range workload.StreamOrders {
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("order", o), Variants: []bench.Variant{{Name: "weir", About: "stream.Assembler", Start: startStreams}}})
	}
	return s
}

func startStreams(_ context.Context, env bench.Env) (bench.Trial, error) {
	ring, err := workload.Stream(env.Params.Get("order"), env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	headers := make([]wire.Headers, len(ring))
	for i, pkt := range ring {
		wire.Parse(pkt, &headers[i])
	}
	r := &reading{}
	a := stream.New(stream.Config{}, func(stream.Conn) stream.Reader { return r })
	now := int64(0)
	do := func(n int) error {
		for range n / len(ring) {
			now++
			for i, pkt := range ring {
				a.Add(pkt, &headers[i], now)
			}
		}
		return nil
	}
	if err := do(len(ring)); err != nil {
		return bench.Trial{}, err
	}
	return bench.Trial{
		Digest: r.String(), Run: bench.Loop(bench.Work{Each: len(ring), Packets: 1, Bytes: workload.MeanLen(ring), Do: do}),
		Close: func() error { a.Close(); return nil },
	}, nil
}

// reading reads for the digest.
type reading struct{ workload.Reading }

func (r *reading) Data(_ stream.Direction, _ uint32, b []byte) bool {
	r.Reading.Data(b)
	return true
}

func (r *reading) Closed(stream.End) { r.Ends++ }
