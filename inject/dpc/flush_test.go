package dpc

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gate is a routine that runs from when it says so until it is let go.
type gate struct{ entered, leave chan struct{} }

func newGate() gate { return gate{make(chan struct{}), make(chan struct{})} }

func (g gate) dpc() *DPC {
	d := New(func(_, _ any) {
		g.entered <- struct{}{}
		<-g.leave
	})
	d.SetImportance(MediumHigh)
	return d
}

func TestFlushWaitsForWhatWasQueuedBeforeOnEveryQueue(t *testing.T) {
	p, _ := running(t, Config{Queues: 3})
	var ran atomic.Int32
	for i := range 60 {
		d := New(func(_, _ any) { ran.Add(1) })
		d.SetImportance(Importance(i % 4)) // Low and Medium are left waiting until the flush has them drained
		d.SetTarget(i % 3)
		d.SetThreaded(i%2 == 0)
		p.Queue(d, nil, nil)
	}
	if err := p.Flush(patient(t)); err != nil || ran.Load() != 60 {
		t.Errorf("Flush: %v after %d of 60 runs", err, ran.Load())
	}
}

func TestFlushWaitsForTheRoutineThatRuns(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	g := newGate()
	p.Queue(g.dpc(), nil, nil)
	<-g.entered
	flushed := flushing(t, p, patient(t))
	select {
	case err := <-flushed:
		t.Errorf("Flush: %v, while the routine runs", err)
	case <-time.After(10 * time.Millisecond):
	}
	close(g.leave)
	if err := <-flushed; err != nil {
		t.Errorf("Flush: %v", err)
	}
}

// flushing starts a Flush and returns when it waits.
func flushing(t *testing.T, p *Pool, ctx context.Context) <-chan error {
	t.Helper()
	flushed := make(chan error, 1)
	before := barriers(p)
	go func() { flushed <- p.Flush(ctx) }()
	waitFor(t, "Flush waits", func() bool { return barriers(p) > before })
	return flushed
}

func barriers(p *Pool) (n int) {
	for _, q := range p.all {
		q.mu.Lock()
		n += len(q.barriers)
		q.mu.Unlock()
	}
	return n
}

func TestFlushDoesNotWaitForWhatIsQueuedLater(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	before, later := newGate(), newGate()
	p.Queue(before.dpc(), nil, nil)
	<-before.entered
	flushed := flushing(t, p, patient(t))
	p.Queue(later.dpc(), nil, nil)
	close(before.leave)
	<-later.entered // it runs, and is held there
	if err := <-flushed; err != nil {
		t.Errorf("Flush: %v", err)
	}
	close(later.leave)
}

func TestFlushDoesNotWaitForADPCThatQueuesItselfForEver(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	d := NewFunc(func(c Call) { c.Queue(c.DPC, nil, nil) })
	p.Queue(d, nil, nil)
	for range 20 {
		if err := p.Flush(patient(t)); err != nil {
			t.Fatalf("Flush: %v", err)
		}
	}
}

func TestFlushIsOverWhenTheLastIsRemoved(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var r recorder
	first, second := r.dpc(Medium), r.dpc(Medium)
	p.Queue(first, 1, nil)
	p.Queue(second, 2, nil)
	b := p.ordinary[0].raise()
	p.Remove(first)
	p.Remove(second)
	select {
	case <-b.done:
	default:
		t.Error("the flush waits for DPCs that were removed")
	}
}

func TestFlushOfAnEmptyPoolReturnsAtOnceAlsoWhenItsContextHasEnded(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Flush(ctx); err != nil {
		t.Errorf("Flush: %v", err)
	}
}

func TestFlushEndsWithItsContextAndLeavesNothingBehind(t *testing.T) {
	p, _ := running(t, Config{Queues: 2})
	g := newGate()
	p.Queue(g.dpc(), nil, nil)
	<-g.entered
	ctx, cancel := context.WithCancel(context.Background())
	flushed := flushing(t, p, ctx)
	cancel()
	if err := <-flushed; !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v", err)
	}
	if n := barriers(p); n != 0 {
		t.Errorf("%d barriers left", n)
	}
	close(g.leave)
}

func TestBlockingCallsInsideARoutineAreRefused(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	other, _ := steppable(t, Config{Queues: 1})
	errs := make(chan error, 3)
	d := NewFunc(func(c Call) {
		errs <- c.Pool().Flush(c.Context())
		errs <- c.Pool().Close(c.Context())
		within, cancel := context.WithTimeout(c.Context(), time.Hour)
		defer cancel()
		errs <- other.Flush(within)
	})
	d.SetImportance(MediumHigh)
	p.Queue(d, nil, nil)
	for range 3 {
		if err := <-errs; err != ErrBlockingInDPC {
			t.Errorf("%v, want ErrBlockingInDPC", err)
		}
	}
	if InRoutine(t.Context()) {
		t.Error("an ordinary context counts as a routine's")
	}
	if !p.Queue(d, nil, nil) {
		t.Error("the refused Close closed the pool")
	}
	for range 3 {
		<-errs
	}
}

func TestPlainFlushOrCloseInsideARoutineEndsAsStalled(t *testing.T) {
	for name, wait := range map[string]func(*Pool, context.Context) error{"flush": (*Pool).Flush, "close": (*Pool).Close} {
		t.Run(name, func(t *testing.T) {
			clock := &atomicTime{}
			p, ticks := running(t, Config{Queues: 1, Stall: time.Minute, Now: clock.read})
			result := make(chan error, 1)
			d := New(func(_, _ any) { result <- wait(p, context.Background()) })
			p.Queue(d, nil, nil)
			waitFor(t, "the routine waits for itself", func() bool { return barriers(p) > 0 })
			ticks <- time.Time{}
			clock.advance(time.Minute + 1)
			ticks <- time.Time{}
			err := <-result
			if !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "queue 0") {
				t.Errorf("%v, want ErrStalled that names the queue", err)
			}
		})
	}
}

// TestStallEndsAFlushBehindTheStuckRoutine: a High routine that came later overtakes what the flush waits for, and sticks.
func TestStallEndsAFlushBehindTheStuckRoutine(t *testing.T) {
	p, clock := steppable(t, Config{Queues: 2})
	var r recorder
	stuck := New(func(_, _ any) {
		clock.advance(stallDefault + 1)
		p.tick()
	})
	stuck.SetImportance(High)
	behind := r.dpc(Medium)
	for _, d := range []*DPC{stuck, behind} {
		d.SetTarget(0)
	}
	p.Queue(behind, 1, nil)
	b := p.ordinary[0].raise()
	p.Queue(stuck, nil, nil)
	drainAll(p)
	select {
	case <-b.done:
	default:
		t.Fatal("the flush waits on")
	}
	if !errors.Is(b.err, ErrStalled) {
		t.Errorf("%v, want ErrStalled", b.err)
	}
	r.want(t, 1)
}

func TestStalledFlushLeavesNothingBehindAtOtherQueues(t *testing.T) {
	clock := &atomicTime{}
	p, ticks := running(t, Config{Queues: 2, Now: clock.read})
	gates := []gate{newGate(), newGate()}
	for i, g := range gates { // the routine at queue 0 is stuck, that at queue 1 has just begun
		d := g.dpc()
		d.SetTarget(i)
		p.Queue(d, nil, nil)
		<-g.entered
		if i == 0 {
			clock.advance(stallDefault + 1)
		}
	}
	flushed := flushing(t, p, patient(t))
	waitFor(t, "both queues have barriers", func() bool { return barriers(p) == 2 })
	ticks <- time.Time{}
	if err := <-flushed; !errors.Is(err, ErrStalled) || barriers(p) != 0 {
		t.Errorf("Flush: %v, %d barriers left; want ErrStalled, 0", err, barriers(p))
	}
	for _, g := range gates {
		close(g.leave)
	}
}

// atomicTime is a clock that many goroutines read.
type atomicTime struct{ ns atomic.Int64 }

func (a *atomicTime) read() time.Time         { return time.Unix(0, a.ns.Load()) }
func (a *atomicTime) advance(d time.Duration) { a.ns.Add(int64(d)) }
