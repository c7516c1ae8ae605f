package scenarios

import (
	"context"
	"runtime"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/inject/dpc"
)

// hopBatch is how many packets cross at once.
const hopBatch = 64

// hop is scenario dpc.
func hop() bench.Scenario {
	s := bench.Scenario{
		Name: "dpc", Op: "one packet handed to another goroutine",
		About: "a packet's way from one goroutine to another: DPCs with batches, DPCs one by one, a channel; and how long it takes at 50,000 packets/s",
	}
	s.Cases = []bench.Case{
		{Params: bench.P("mode", "rate"), Variants: []bench.Variant{
			{Name: "weir", About: "a DPC for each batch of 64", Start: startBatches},
			{Name: "weir, DPC each", About: "a DPC for each packet, 64 under way", Start: startSingles},
			{Name: "channel", Peer: true, About: "Go's channel with room for 64, a packet at a time", Start: startChannel},
		}},
		{Params: bench.P("mode", "latency"), By: bench.ByP50, Variants: []bench.Variant{
			{Name: "weir", About: "a DPC for each packet", Start: paced(pacedDPC)},
			{Name: "channel", Peer: true, About: "Go's channel, a packet at a time", Start: paced(pacedChannel)},
		}},
	}
	return s
}

type packet [64]byte

func startChannel(context.Context, bench.Env) (bench.Trial, error) {
	pkt := &packet{}
	return bench.Trial{Run: bench.Loop(bench.Work{Packets: 1, Do: func(n int) error {
		c, done := make(chan *packet, hopBatch), make(chan int)
		go func() {
			sum := 0
			for p := range c {
				sum += int(p[0])
			}
			done <- sum
		}()
		for range n {
			c <- pkt
		}
		close(c)
		<-done
		return nil
	}})}, nil
}

// target makes a DPC that runs on the first queue at once.
func target(routine func(a1, a2 any)) *dpc.DPC {
	d := dpc.New(routine)
	d.SetTarget(0)
	d.SetImportance(dpc.MediumHigh)
	return d
}

func startSingles(context.Context, bench.Env) (bench.Trial, error) {
	pool, err := dpc.NewPool(dpc.Config{Queues: 1})
	if err != nil {
		return bench.Trial{}, err
	}
	free := make(chan *dpc.DPC, hopBatch)
	for range cap(free) {
		var d *dpc.DPC
		d = target(func(_, _ any) { free <- d })
		free <- d
	}
	return bench.Trial{
		Close: func() error { return pool.Close(context.Background()) },
		Run: bench.Loop(bench.Work{Packets: 1, Do: func(n int) error {
			for range n {
				pool.Queue(<-free, nil, nil)
			}
			return pool.Flush(context.Background())
		}}),
	}, nil
}

// crossing is a batch of pointers under way.
type crossing struct {
	packets []*packet
	dpc     *dpc.DPC
}

func startBatches(context.Context, bench.Env) (bench.Trial, error) {
	pool, err := dpc.NewPool(dpc.Config{Queues: 1})
	if err != nil {
		return bench.Trial{}, err
	}
	pkt, sum := &packet{}, 0
	free := make(chan *crossing, 4)
	for range cap(free) {
		b := &crossing{packets: make([]*packet, 0, hopBatch)}
		b.dpc = target(func(_, _ any) {
			for _, p := range b.packets {
				sum += int(p[0])
			}
			b.packets = b.packets[:0]
			free <- b
		})
		free <- b
	}
	now := <-free
	return bench.Trial{
		Close: func() error { return pool.Close(context.Background()) },
		Run: bench.Loop(bench.Work{Each: hopBatch, Packets: 1, Do: func(n int) error {
			for range n {
				if now.packets = append(now.packets, pkt); len(now.packets) == hopBatch {
					pool.Queue(now.dpc, nil, nil)
					now = <-free
				}
			}
			return pool.Flush(context.Background())
		}}),
	}, nil
}

// What is sent on schedule: 50,000 packets a second.
const paceInterval = 20 * time.Microsecond

// ticket is a packet that remembers when it was due.
type ticket struct {
	due time.Time
	dpc *dpc.DPC
}

// paced makes a variant that sends on schedule, however late the receiver is, and measures each packet from when it was due.
func paced(open func(arrived func(*ticket)) (send func(*ticket), end func() error, err error)) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(context.Context, bench.Env) (bench.Trial, error) {
		latency := bench.NewLatency()
		free := make(chan *ticket, 1024)
		send, end, err := open(func(t *ticket) {
			latency.Record(time.Since(t.due))
			free <- t
		})
		if err != nil {
			return bench.Trial{}, err
		}
		for range cap(free) {
			free <- &ticket{}
		}
		return bench.Trial{Close: end, Run: func(ctx context.Context, d time.Duration) (bench.Sample, error) {
			latency.Reset()
			watch := bench.Watch()
			n := uint64(0)
			for pace, start := bench.NewPace(paceInterval), time.Now(); time.Since(start) < d; {
				due, now := pace.Due()
				if !now {
					runtime.Gosched() // the sender spins: what is measured is the receiver's way
					continue
				}
				t := <-free
				t.due = due
				send(t)
				n++
			}
			for range cap(free) { // all have arrived
				defer func(t *ticket) { free <- t }(<-free)
			}
			s := watch()
			s.Ops, s.Packets, s.Latency = n, n, bench.NewLatency()
			s.Latency.Merge(latency)
			return s, ctx.Err()
		}}, nil
	}
}

func pacedDPC(arrived func(*ticket)) (send func(*ticket), end func() error, err error) {
	pool, err := dpc.NewPool(dpc.Config{Queues: 1})
	if err != nil {
		return nil, nil, err
	}
	send = func(t *ticket) {
		if t.dpc == nil {
			t.dpc = target(func(_, _ any) { arrived(t) })
		}
		for !pool.Queue(t.dpc, nil, nil) { // its last call told that it arrived, and is about to return
			runtime.Gosched()
		}
	}
	return send, func() error { return pool.Close(context.Background()) }, nil
}

func pacedChannel(arrived func(*ticket)) (send func(*ticket), end func() error, err error) {
	c, done := make(chan *ticket, 1024), make(chan struct{})
	go func() {
		defer close(done)
		for t := range c {
			arrived(t)
		}
	}()
	return func(t *ticket) { c <- t }, func() error { close(c); <-done; return nil }, nil
}
