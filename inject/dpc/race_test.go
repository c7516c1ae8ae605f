package dpc

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// times is n, or the documented number of the long run.
func times(n, whenLong int) int {
	if long {
		return whenLong
	}
	return n
}

// TestRemoveRace has two goroutines remove a DPC while workers take it: of each call that was queued, either it ran once
// or Remove was true once. WEIR_LONG=1 makes it a million calls.
func TestRemoveRace(t *testing.T) {
	p, _ := running(t, Config{Queues: 2})
	calls := times(50_000, 1_000_000)
	ran := make([]atomic.Int32, calls)
	d := New(func(a1, _ any) { a1.(*atomic.Int32).Add(1) })
	d.SetImportance(MediumHigh)

	var removed atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			if p.Remove(d) {
				removed.Add(1)
			}
			runtime.Gosched()
		}
	})
	for i := range calls {
		d.SetTarget(i % 2)
		for !p.Queue(d, &ran[i], nil) {
			runtime.Gosched()
		}
		if i%3 == 0 && p.Remove(d) {
			removed.Add(1)
		}
	}
	stop.Store(true)
	wg.Wait()
	if err := p.Flush(patient(t)); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	var runs int64
	for i := range ran {
		switch n := ran[i].Load(); n {
		case 0, 1:
			runs += int64(n)
		default:
			t.Fatalf("call %d ran %d times", i, n)
		}
	}
	if runs+removed.Load() != int64(calls) {
		t.Errorf("%d ran + %d removed != %d queued", runs, removed.Load(), calls)
	}
	t.Logf("%d queued, %d ran, %d removed", calls, runs, removed.Load())
}

// TestRemovedCallNeverRuns looks at each call by itself: only the goroutine that queues removes, so it knows which call
// it took out. WEIR_LONG=1 makes it a million calls.
func TestRemovedCallNeverRuns(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	calls := times(50_000, 1_000_000)
	ran, removed := make([]atomic.Bool, calls), make([]bool, calls)
	d := New(func(a1, _ any) { a1.(*atomic.Bool).Store(true) })
	for i := range calls {
		for !p.Queue(d, &ran[i], nil) {
			runtime.Gosched()
		}
		if i%2 == 0 {
			runtime.Gosched()
		}
		removed[i] = p.Remove(d)
	}
	if err := p.Flush(patient(t)); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	runs := 0
	for i := range calls {
		runs += btoi(ran[i].Load())
		if ran[i].Load() == removed[i] {
			t.Fatalf("call %d: removed %v, ran %v", i, removed[i], ran[i].Load())
		}
	}
	t.Logf("%d queued, %d ran", calls, runs)
}

// TestFlushRace: whatever Queue answered, a run of the DPC that began after it has finished when Flush returns.
func TestFlushRace(t *testing.T) {
	p, _ := running(t, Config{Queues: 2})
	var wg sync.WaitGroup
	for g := range 3 {
		var begun, finished atomic.Int64
		d := New(func(_, _ any) {
			begun.Add(1)
			finished.Add(1)
		})
		var disturb sync.WaitGroup
		var stop atomic.Bool
		disturb.Go(func() {
			for !stop.Load() {
				p.Queue(d, nil, nil)
				runtime.Gosched()
			}
		})
		wg.Go(func() {
			for i := range times(5000, 50_000) {
				d.SetTarget((g + i) % 2)
				d.SetThreaded(i%3 == 0)
				before := begun.Load()
				p.Queue(d, nil, nil)
				if err := p.Flush(patient(t)); err != nil {
					t.Errorf("Flush: %v", err)
				}
				if finished.Load() <= before {
					t.Errorf("flush %d: %d runs finished, %d had begun before", i, finished.Load(), before)
				}
			}
			stop.Store(true)
			disturb.Wait()
		})
	}
	wg.Wait()
}

// TestFirstQueueRace: a DPC that many goroutines queue at once for the first time is taken once, by its pool.
func TestFirstQueueRace(t *testing.T) {
	p, _ := running(t, Config{Queues: 2})
	for range times(300, 10_000) {
		g := newGate()
		d := g.dpc()
		var taken atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				switch err := p.Insert(d, nil, nil); err {
				case nil:
					taken.Add(1)
				case ErrQueued:
				default:
					t.Errorf("Insert: %v", err)
				}
			})
		}
		<-g.entered // from now on it could be queued again
		wg.Wait()
		p.Remove(d)
		if n := taken.Load(); n < 1 || n > 2 {
			t.Errorf("taken %d times, want once, or twice if it ran in between", n)
		}
		g.leave <- struct{}{}
	}
}
