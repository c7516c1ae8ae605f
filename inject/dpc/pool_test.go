package dpc

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestConfigOutOfRangeIsRefused(t *testing.T) {
	for field, cfg := range map[string]Config{
		"Queues":     {Queues: -1},
		"use 1 to":   {Queues: MaxQueues + 1},
		"Depth":      {Depth: -1},
		"Cumulative": {Cumulative: -1},
		"Tick":       {Tick: -1},
	} {
		if _, err := NewPool(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: %v, want an error that says %q", cfg, err, field)
		}
	}
}

func TestNilRoutinePanics(t *testing.T) {
	for name, make := range map[string]func(){"New": func() { New(nil) }, "NewFunc": func() { NewFunc(nil) }} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, name+":") {
					t.Errorf("%s: panic %q", name, v)
				}
			}()
			make()
		}()
	}
}

func TestZeroConfigRuns(t *testing.T) {
	p, err := NewPool(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan any, 1)
	d := New(func(a1, _ any) { ran <- a1 })
	d.SetTarget(0) // Medium: it waits for the real tick
	p.Queue(d, "done", nil)
	if got := <-ran; got != "done" {
		t.Errorf("got %v", got)
	}
	if err := p.Close(patient(t)); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestCloseRunsWhatIsQueuedAndRefusesWhatComesLater(t *testing.T) {
	p, _ := running(t, Config{Queues: 2, Depth: 100})
	var ran atomic.Int32
	var again *DPC
	again = NewFunc(func(c Call) {
		ran.Add(1)
		for c.Queue(again, nil, nil) { // until the pool is closed
			return
		}
	})
	p.Queue(again, nil, nil)
	for range 50 {
		d := New(func(_, _ any) { ran.Add(1) })
		d.SetTarget(1) // deferred
		d.SetImportance(Low)
		p.Queue(d, nil, nil)
	}
	if err := p.Close(patient(t)); err != nil {
		t.Fatalf("Close: %v", err)
	}
	s := p.Stats()
	if s.Waiting != 0 || s.Running != 0 || s.Ran != s.Queued || int(s.Ran) != int(ran.Load()) {
		t.Errorf("stats %+v, %d runs", s.Counters, ran.Load())
	}
	if err := p.Insert(again, nil, nil); err != ErrClosed || p.Stats().RefusedClosed == s.RefusedClosed {
		t.Errorf("Insert: %v, want ErrClosed, counted", err)
	}
	if err := p.Close(patient(t)); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseMayBeTriedAgain(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	g := newGate()
	p.Queue(g.dpc(), nil, nil)
	<-g.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	close(g.leave)
	if err := p.Close(patient(t)); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseIsSafeFromManyGoroutines(t *testing.T) {
	p, _ := running(t, Config{Queues: 2})
	errs := make(chan error)
	for range 8 {
		go func() { errs <- p.Close(patient(t)) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestPoolOutlivesTheOwnersTicks(t *testing.T) {
	for range 100 {
		ticks := make(chan time.Time)
		p, err := NewPool(Config{Queues: 1, Ticks: ticks})
		if err != nil {
			t.Fatal(err)
		}
		close(ticks)
		runtime.Gosched()
		if err := p.Close(patient(t)); err != nil {
			t.Fatalf("Close: %v", err)
		}
		select {
		case <-p.idle:
		default:
			t.Fatal("Close returned before the workers ended")
		}
	}
}

func TestGoexitInARoutineDoesNotEndTheQueue(t *testing.T) {
	reported := make(chan Report, 1)
	p, _ := running(t, Config{Queues: 1, OnReport: func(r Report) {
		if r.Kind == Panic {
			reported <- r
		}
	}})
	g := newGate()
	p.Queue(g.dpc(), nil, nil)
	<-g.entered
	ran := make(chan any, 1)
	p.Queue(New(func(_, _ any) { runtime.Goexit() }), nil, nil)
	p.Queue(New(func(a1, _ any) { ran <- a1 }), "after", nil)
	close(g.leave)
	if got := <-ran; got != "after" {
		t.Errorf("got %v", got)
	}
	if r := <-reported; r.Value != ErrGoexit {
		t.Errorf("reported %v, want ErrGoexit", r.Value)
	}
}

func TestPanicOnAWorkerDoesNotEndTheQueue(t *testing.T) {
	p, _ := running(t, Config{Queues: 1})
	p.Queue(New(func(_, _ any) { panic("contained") }), nil, nil)
	if err := p.Flush(patient(t)); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	ran := make(chan any, 1)
	p.Queue(New(func(a1, _ any) { ran <- a1 }), "after", nil)
	if got := <-ran; got != "after" || p.Stats().Panics != 1 {
		t.Errorf("got %v, %d panics", got, p.Stats().Panics)
	}
}

// TestOneFIFOOneDPC is how the owner of a flow uses a DPC: nothing in the arguments, one wake-up for many entries, order
// kept.
func TestOneFIFOOneDPC(t *testing.T) {
	p, _ := running(t, Config{Queues: 2})
	const entries = 10_000
	fifo := make(chan int, entries)
	var got []int
	d := New(func(_, _ any) {
		for {
			select {
			case v := <-fifo:
				got = append(got, v)
			default:
				return
			}
		}
	})
	d.SetImportance(MediumHigh)
	d.SetTarget(1)
	for i := range entries {
		fifo <- i
		p.Queue(d, nil, nil)
	}
	if err := p.Flush(patient(t)); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	if len(got) != entries || !slices.IsSorted(got) {
		t.Errorf("%d of %d entries, in order: %v", len(got), entries, slices.IsSorted(got))
	}
}
