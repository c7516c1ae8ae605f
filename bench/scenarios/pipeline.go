package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/memdrv"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/dpc"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/callouts/rewrite"
)

// pipeline is the work of spec section "budget per packet": parse, a filter of four tests, classify by rules of which the last one
// matches, change the TTL and a byte of the payload, which asks for both checksums anew, and hand the packet to another goroutine.
func pipeline() bench.Scenario {
	s := bench.Scenario{
		Name: "pipeline", Op: "one packet: parse, filter, classify, rewrite, checksums, hop", Settings: bench.Settings{Procs: 1},
		About: "the whole way on one processor: a filter, 1 to 10,000 rules of which the last matches, a rewrite with new checksums, a hop to another goroutine",
	}
	variants := []bench.Variant{
		{Name: "weir", About: "driver in memory, processor.Run, callout rewrite, DPC with batches of 64", Start: startPipeline(processor.Rules{})},
		{
			Name: "weir, no budget", About: "the same with the rule of the time budget off, which reads the clock twice for each call of a callout",
			Start: startPipeline(processor.Rules{TimeBudget: inject.Off}),
		},
	}
	for _, size := range workload.PipelineSizes {
		for _, rules := range workload.PipelineRules {
			s.Cases = append(s.Cases, bench.Case{Params: bench.P("size", size, "rules", rules), Variants: variants})
		}
	}
	return s
}

func startPipeline(rules processor.Rules) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) { return pipelineTrial(env, rules) }
}

func pipelineTrial(env bench.Env, rules processor.Rules) (bench.Trial, error) {
	w, err := workload.NewPipeline(env.Params.Get("size"), env.Params.Get("rules"), env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	policy, err := pipelinePolicy(w)
	if err != nil {
		return bench.Trial{}, err
	}
	out, err := newConsumer()
	if err != nil {
		return bench.Trial{}, err
	}
	mem := memdrv.Config{Next: inTurn(outbound(), w.Ring), Filters: true, Out: out.take, Flush: out.flush}
	e, err := newEngine(workload.PipelineFilter, mem, processor.Config{Policy: policy, Rules: rules})
	if err != nil {
		return bench.Trial{}, errors.Join(err, out.close())
	}
	do := func(n int) error {
		if err := e.do(n); err != nil {
			return err
		}
		return out.pool.Flush(context.Background())
	}
	out.digest = &workload.Digest{}
	if err := do(len(w.Ring)); err != nil {
		return e.fail(err)
	}
	digest := out.digest.String()
	out.digest = nil
	if s := e.handle.Stats(); s.Passed != uint64(len(w.Ring)) {
		return e.fail(fmt.Errorf("%d packets passed, want all %d", s.Passed, len(w.Ring)))
	}
	return bench.Trial{
		Digest: digest,
		Run:    bench.Loop(bench.Work{Each: 64, Packets: 1, Bytes: workload.MeanLen(w.Ring), Do: do}),
		Close:  func() error { return errors.Join(e.close(), out.close()) },
	}, nil
}

// pipelinePolicy has a filter for each rule: all block but the last, which rewrites and permits.
func pipelinePolicy(w *workload.Pipeline) (*processor.Policy, error) {
	first := uint16(0)
	callout, err := rewrite.New("rewrite", rewrite.Config{
		TTL: workload.PipelineTTL, Payload: &rewrite.Payload{Offset: &first, Write: string(workload.PipelineByte)}, Verdict: "permit",
	})
	if err != nil {
		return nil, err
	}
	var filters []processor.Filter
	for i, r := range w.Rules {
		when, err := filter.Parse(r.Filter(), divertdrv.Network)
		if err != nil {
			return nil, err
		}
		f := processor.Filter{Name: "rule " + strconv.Itoa(i), Layer: processor.OutboundTransport, When: when, Action: processor.ActionBlock}
		if i == len(w.Rules)-1 {
			f.Action, f.Callout = processor.ActionCalloutTerminating, callout
		}
		filters = append(filters, f)
	}
	return processor.NewPolicy(nil, filters)
}

// consumer is the other goroutine: it gets copies of packets in batches, as DPCs.
type consumer struct {
	pool   *dpc.Pool
	free   chan *handover
	now    *handover
	bytes  uint64
	digest *workload.Digest // nil but while it is taken
}

// handover is a batch under way to the consumer, with its memory.
type handover struct {
	dpc   *dpc.DPC
	block []byte
	ends  []int
}

func newConsumer() (*consumer, error) {
	pool, err := dpc.NewPool(dpc.Config{Queues: 1})
	if err != nil {
		return nil, err
	}
	c := &consumer{pool: pool, free: make(chan *handover, 4)}
	for range cap(c.free) {
		h := &handover{}
		h.dpc = dpc.New(func(_, _ any) { c.consume(h) })
		h.dpc.SetTarget(0)
		h.dpc.SetImportance(dpc.MediumHigh)
		c.free <- h
	}
	c.now = <-c.free
	return c, nil
}

// take copies a packet, as its memory is the batch's.
func (c *consumer) take(data []byte) {
	c.now.block = append(c.now.block, data...)
	c.now.ends = append(c.now.ends, len(c.now.block))
}

func (c *consumer) flush() {
	if len(c.now.ends) > 0 {
		c.pool.Queue(c.now.dpc, nil, nil)
		c.now = <-c.free
	}
}

// consume is the other goroutine's part.
func (c *consumer) consume(h *handover) {
	from := 0
	for _, end := range h.ends {
		pkt := h.block[from:end]
		c.bytes += uint64(len(pkt)) + uint64(pkt[0])
		if c.digest != nil {
			c.digest.Packet(pkt)
		}
		from = end
	}
	h.block, h.ends = h.block[:0], h.ends[:0]
	c.free <- h
}

func (c *consumer) close() error { return c.pool.Close(context.Background()) }
