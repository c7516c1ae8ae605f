package scenarios

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

// simulator is scenario sim: the whole path, from a simulated host through driver, processor and back to the wire.
func simulator() bench.Scenario {
	s := bench.Scenario{
		Name: "sim", Op: "one packet through the simulated stack",
		About: "from a simulated host through driver and processor to the wire: mixed packets as fast as they go, and 20,000 packets/s of 576 bytes for latency",
	}
	s.Cases = []bench.Case{
		{Params: bench.P("mode", "rate"), Variants: []bench.Variant{
			{Name: "weir", About: "processor with 100 filters", Start: startSim},
			{Name: "no processor", About: "the same stack and handle, all packets passed", Start: startSimBare},
		}},
		{Params: bench.P("mode", "latency"), By: bench.ByP50, Variants: []bench.Variant{
			{Name: "weir", About: "processor with 100 filters; from when a packet was due until it is on the wire", Start: startSimPaced},
		}},
	}
	return s
}

// tap is a Source that gives a fixed number of packets at a time and then waits.
type tap struct {
	addrs []divertdrv.Address
	data  [][]byte
	at    int
	left  int
	asked bool
	grant chan int
	done  chan struct{}
	stop  chan struct{}
}

// simPackets are 512 packets, 640 bytes on average, which stay in a processor's cache.
const simPackets = 512

func newTap(seed uint64) *tap {
	t := &tap{grant: make(chan int), done: make(chan struct{}), stop: make(chan struct{})}
	for src := simdrv.NewTraffic(seed, simPackets); ; {
		a, data, err := src.Next()
		if err != nil {
			return t
		}
		t.addrs, t.data = append(t.addrs, *a), append(t.data, append([]byte(nil), data...))
	}
}

// Next gives the next packet. Where the grant is used up it tells do, whose packets have all been completed when the reader asks
// for more: only then is the stack empty.
func (t *tap) Next() (*divertdrv.Address, []byte, error) {
	if t.left == 0 {
		if t.asked {
			t.asked = false
			t.done <- struct{}{}
		}
		select {
		case t.left = <-t.grant:
			t.asked = true
		case <-t.stop:
			return nil, nil, io.EOF
		}
	}
	t.left--
	t.at = (t.at + 1) % len(t.data)
	return &t.addrs[t.at], t.data[t.at], nil
}

// Prompt is not quite true: a Recv fills a batch at once while the grant lasts, and grants are whole batches.
func (*tap) Prompt() {}

func (t *tap) do(n int) error {
	t.grant <- n
	<-t.done
	return nil
}

// simulation is a stack with a handle.
type simulation struct {
	stack  *simdrv.Stack
	handle *divertdrv.Handle
	ended  chan error
	stop   func()
}

func newSimulation(cfg simdrv.Config) (*simulation, error) {
	s := &simulation{stack: simdrv.New(cfg), ended: make(chan error, 1), stop: func() {}}
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: s.stack})
	s.handle = h
	return s, err
}

// process has a processor with 100 filters at work.
func (s *simulation) process(seed uint64) error {
	texts, _ := workload.MixedFilters(seed, 100)
	policy, err := policyOf(texts, processor.ActionBlock)
	if err != nil {
		return err
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{s.handle}, Policy: policy})
	if err != nil {
		return err
	}
	go func() { s.ended <- p.Run(context.Background()) }()
	return nil
}

func (s *simulation) close() error {
	s.stop()
	err := s.handle.Shutdown(divertdrv.ShutdownRecv)
	err = errors.Join(err, <-s.ended)
	stats := s.handle.Stats()
	err = errors.Join(err, stats.Conserved(), s.handle.Close())
	s.stack.Close()
	return err
}

func startSim(_ context.Context, env bench.Env) (bench.Trial, error) {
	return simTrial(env, func(s *simulation) error { return s.process(env.Seed) })
}

func startSimBare(_ context.Context, env bench.Env) (bench.Trial, error) {
	return simTrial(env, func(s *simulation) error {
		go func() { s.ended <- passAll(s.handle) }()
		return nil
	})
}

func simTrial(env bench.Env, begin func(*simulation) error) (bench.Trial, error) {
	t := newTap(env.Seed)
	s, err := newSimulation(simdrv.Config{Source: t})
	if err != nil {
		return bench.Trial{}, err
	}
	s.stop = func() { close(t.stop) }
	if err := begin(s); err != nil {
		return bench.Trial{}, err
	}
	return bench.Trial{Close: s.close, Run: bench.Loop(bench.Work{Each: 64, Packets: 1, Bytes: workload.MeanLen(t.data), Do: t.do})}, nil
}

// simInterval is the schedule: 20,000 packets a second.
const simInterval = 50 * time.Microsecond

func startSimPaced(_ context.Context, env bench.Env) (bench.Trial, error) {
	ring, err := workload.Ring(env.Seed, 256, 576, false)
	if err != nil {
		return bench.Trial{}, err
	}
	arrived := make(chan time.Time, 1<<16) // more than are ever under way
	s, err := newSimulation(simdrv.Config{
		OnWire: func(*divertdrv.Address, []byte) { arrived <- time.Now() },
	})
	if err == nil {
		err = s.process(env.Seed)
	}
	if err != nil {
		return bench.Trial{}, err
	}
	return bench.Trial{Close: s.close, Run: func(ctx context.Context, d time.Duration) (bench.Sample, error) {
		return sendPaced(ctx, s.stack, ring, arrived, d)
	}}, nil
}

// sendPaced sends on schedule and takes the packets' arrivals in their order, which is that of sending: one handle, one reader, and
// nothing is held.
func sendPaced(ctx context.Context, stack *simdrv.Stack, ring [][]byte, arrived <-chan time.Time, d time.Duration) (bench.Sample, error) {
	latency := bench.NewLatency()
	var due []time.Time
	got := 0
	collect := func(at time.Time) {
		latency.Record(at.Sub(due[got]))
		got++
	}
	watch := bench.Watch()
	bytes := uint64(0)
	for pace, start := bench.NewPace(simInterval), time.Now(); time.Since(start) < d; {
		at, now := pace.Due()
		if !now {
			select {
			case x := <-arrived:
				collect(x)
			default:
				runtime.Gosched()
			}
			continue
		}
		pkt := ring[len(due)%len(ring)]
		due = append(due, at)
		bytes += uint64(len(pkt))
		if err := stack.Send(pkt); err != nil {
			return bench.Sample{}, err
		}
	}
	for got < len(due) {
		select {
		case x := <-arrived:
			collect(x)
		case <-ctx.Done():
			return bench.Sample{}, ctx.Err()
		case <-time.After(30 * time.Second):
			return bench.Sample{}, errors.New("packets that were sent have not arrived for 30 s")
		}
	}
	s := watch()
	s.Ops, s.Packets, s.Bytes, s.Latency = uint64(got), uint64(got), bytes, latency
	s.Loss = map[string]uint64{"lost": 0}
	return s, nil
}
