package dpc

import "testing"

type packet [64]byte

// handshake is a DPC that tells when it has run.
func handshake() (*DPC, chan struct{}) {
	done := make(chan struct{})
	d := New(func(_, _ any) { done <- struct{}{} })
	d.SetImportance(MediumHigh)
	d.SetTarget(0)
	return d, done
}

func TestQueueAndRunDoNotAllocate(t *testing.T) {
	var got *packet
	routines := map[string]*DPC{
		"New":     New(func(a1, _ any) { got = a1.(*packet) }),
		"NewFunc": NewFunc(func(c Call) { got = c.Arg1.(*packet) }),
	}
	for name, d := range routines {
		t.Run(name, func(t *testing.T) {
			p, _ := steppable(t, Config{Queues: 2})
			pkt := &packet{}
			if n := testing.AllocsPerRun(1000, func() {
				p.Queue(d, pkt, p)
				p.Remove(d)
				p.Queue(d, pkt, p)
				drainAll(p)
				p.tick()
			}); n != 0 || got != pkt {
				t.Errorf("%v allocations, want 0; got %p, want %p", n, got, pkt)
			}
		})
	}
}

func TestWorkerDoesNotAllocate(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	d, done := handshake()
	pkt := &packet{}
	if n := testing.AllocsPerRun(1000, func() {
		p.Queue(d, pkt, nil)
		<-done
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// BenchmarkQueueRun is the cost of a DPC without the change of goroutines.
func BenchmarkQueueRun(b *testing.B) {
	cfg, err := Config{Queues: 1}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	p := newPool(cfg)
	d, pkt := New(func(_, _ any) {}), &packet{}
	b.ReportAllocs()
	for b.Loop() {
		p.Queue(d, pkt, nil)
		p.ordinary[0].step()
	}
}

// BenchmarkQueueRefused is the cost of queuing what is queued already: the owner of a FIFO pays it for most entries.
func BenchmarkQueueRefused(b *testing.B) {
	p, _ := steppable(b, Config{Queues: 1})
	d := New(func(_, _ any) {})
	p.Queue(d, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		p.Queue(d, nil, nil)
	}
}

// BenchmarkWakeup is the time from Queue on an idle pool until the routine has told back, both changes of goroutines
// included.
func BenchmarkWakeup(b *testing.B) {
	p, _ := running(b, Config{Queues: 1})
	d, done := handshake()
	b.ReportAllocs()
	for b.Loop() {
		p.Queue(d, nil, nil)
		<-done
	}
}

// BenchmarkPipelined keeps a worker supplied: 64 DPCs, each queued again as soon as it has run.
func BenchmarkPipelined(b *testing.B) {
	p, _ := running(b, Config{Queues: 1})
	free := make(chan *DPC, 64)
	for range cap(free) {
		d := NewFunc(func(c Call) { free <- c.DPC })
		d.SetImportance(MediumHigh)
		d.SetTarget(0)
		free <- d
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Queue(<-free, nil, nil)
	}
	if err := p.Flush(patient(b)); err != nil {
		b.Fatal(err)
	}
}

const hopBatch = 64

// batch is what crosses to the worker at once.
type batch struct {
	packets []*packet
	dpc     *DPC
}

// BenchmarkHop is a packet's way from one goroutine to another: a channel's, a packet at a time, with room for as many as a batch
// has; and a DPC's with a batch for its argument. Nanoseconds a packet; the ratio within one run is what this is for.
func BenchmarkHop(b *testing.B) {
	pkt := &packet{}
	b.Run("channel", func(b *testing.B) {
		c, done := make(chan *packet, hopBatch), make(chan int)
		go func() {
			sum := 0
			for p := range c {
				sum += int(p[0])
			}
			done <- sum
		}()
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			c <- pkt
		}
		close(c)
		<-done
	})
	b.Run("batch", func(b *testing.B) {
		p, _ := running(b, Config{Queues: 1})
		free, sum := make(chan *batch, 4), 0
		for range cap(free) {
			one := &batch{packets: make([]*packet, 0, hopBatch)}
			one.dpc = New(func(_, _ any) {
				for _, q := range one.packets {
					sum += int(q[0])
				}
				one.packets = one.packets[:0]
				free <- one
			})
			one.dpc.SetImportance(MediumHigh)
			one.dpc.SetTarget(0)
			free <- one
		}
		b.ReportAllocs()
		b.ResetTimer()
		now := <-free
		for range b.N {
			if now.packets = append(now.packets, pkt); len(now.packets) == hopBatch {
				p.Queue(now.dpc, nil, nil)
				now = <-free
			}
		}
		p.Queue(now.dpc, nil, nil)
		if err := p.Flush(patient(b)); err != nil {
			b.Fatal(err)
		}
	})
}
