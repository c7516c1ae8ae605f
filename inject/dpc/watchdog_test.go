package dpc

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// reports keeps what the watchdog tells about a pool that is stepped.
type reports []Report

func (r *reports) add(x Report) { *r = append(*r, x) }

func (r reports) want(t *testing.T, kinds ...Kind) {
	t.Helper()
	same := len(r) == len(kinds)
	for i := 0; same && i < len(r); i++ {
		same = r[i].Kind == kinds[i]
	}
	if !same {
		t.Errorf("reports %v, want kinds %v", []Report(r), kinds)
	}
}

func TestTickReportsARoutineThatIsStillRunning(t *testing.T) {
	var got reports
	p, clock := steppable(t, Config{Queues: 1, OnReport: got.add})
	d := New(func(_, _ any) {
		for range 8 { // 1 to 8 ms: told at 1, 3 (past 2), 7 (past 6)
			clock.advance(time.Millisecond)
			p.tick()
		}
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	got.want(t, Stuck, Stuck, Stuck, Single)
	for i, want := range []time.Duration{1, 3, 7, 8} {
		if got[i].Elapsed != want*time.Millisecond || got[i].Limit != 100*time.Microsecond || got[i].DPC != d {
			t.Errorf("report %d: %v, want after %d ms", i, got[i], want)
		}
	}
	if s := p.Stats(); s.Reports != 4 {
		t.Errorf("%d reports counted, want 4", s.Reports)
	}
}

func TestCumulativeCountsTheDrainNotTheRoutine(t *testing.T) {
	var got reports
	p, clock := steppable(t, Config{Queues: 1, Single: time.Second, Cumulative: 10 * time.Second, OnReport: got.add})
	runs := 0
	d := NewFunc(func(c Call) {
		clock.advance(time.Second)
		if runs++; runs < 25 {
			c.Queue(c.DPC, nil, nil)
		}
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	got.want(t, Cumulative, Cumulative) // at 11 s and past 22 s
	clock.advance(time.Hour)            // a pause ends the count
	runs = 24
	p.Queue(d, nil, nil)
	drainAll(p)
	got.want(t, Cumulative, Cumulative)
}

func TestCumulativeIsFoundByTheTickToo(t *testing.T) {
	var got reports
	p, clock := steppable(t, Config{Queues: 1, Single: -1, Cumulative: time.Second, OnReport: got.add})
	d := New(func(_, _ any) {
		clock.advance(1001 * time.Millisecond)
		p.tick()
		p.tick()
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	got.want(t, Cumulative)
}

func TestThreadedIsWatchedToo(t *testing.T) {
	var got reports
	p, clock := steppable(t, Config{Queues: 2, OnReport: got.add})
	d := New(func(_, _ any) { clock.advance(time.Second) })
	d.SetThreaded(true)
	d.SetTarget(1)
	p.Queue(d, nil, nil)
	drainAll(p)
	got.want(t, Single)
	if !got[0].Threaded || got[0].Queue != 1 {
		t.Errorf("got %+v, want threaded queue 1", got[0])
	}
}

func TestPanicIsContainedCountedAndReported(t *testing.T) {
	var got reports
	p, _ := steppable(t, Config{Queues: 1, OnReport: got.add})
	var r recorder
	bad := errors.New("bad packet")
	p.Queue(New(func(_, _ any) { panic(bad) }), nil, nil)
	p.Queue(r.dpc(Medium), "next", nil)
	drainAll(p)
	r.want(t, "next")
	got.want(t, Panic)
	if got[0].Value != bad || !strings.Contains(string(got[0].Stack), "TestPanicIsContained") {
		t.Errorf("value %v, stack:\n%s", got[0].Value, got[0].Stack)
	}
	if s := p.Stats(); s.Panics != 1 || s.Ran != 2 {
		t.Errorf("stats %+v", s.Counters)
	}
}

func TestNilPanicIsAPanic(t *testing.T) {
	var got reports
	p, _ := steppable(t, Config{Queues: 1, OnReport: got.add})
	p.Queue(New(func(a1, _ any) { panic(a1) }), nil, nil)
	drainAll(p)
	got.want(t, Panic)
	if got[0].Value == ErrGoexit {
		t.Error("told as Goexit")
	}
}

func TestPanicInOnReportIsNotContained(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1, OnReport: func(r Report) { panic(r.Value) }})
	p.Queue(New(func(_, _ any) { panic("misuse of a batch") }), nil, nil)
	q := p.ordinary[0]
	defer func() {
		if got := recover(); got != "misuse of a batch" {
			t.Errorf("recovered %v, want the routine's panic", got)
		}
	}()
	q.mu.Lock()
	q.drain()
}

func TestOnReportIsCalledWithNoLockHeld(t *testing.T) {
	var p *Pool
	var r recorder
	told := 0
	p, clock := steppable(t, Config{Queues: 1, OnReport: func(Report) {
		told++
		p.Stats()
		p.Queue(r.dpc(Medium), told, nil)
	}})
	p.Queue(New(func(_, _ any) {
		clock.advance(time.Second)
		p.tick()
	}), nil, nil)
	drainAll(p)
	r.want(t, 1, 2)
}

func TestReportsReadWell(t *testing.T) {
	d := New(routineForNames)
	tests := []struct {
		report Report
		want   string
	}{
		{Report{Kind: Single, DPC: d, Queue: 1, Elapsed: 1030 * time.Microsecond, Limit: singleDefault}, "dpc: queue 1: github.com/weirnet/weir/inject/dpc.routineForNames took 1.03ms, limit 100µs"},
		{Report{Kind: Stuck, DPC: d, Elapsed: time.Second, Limit: singleDefault}, "has been running for 1s, limit 100µs"},
		{Report{Kind: Cumulative, DPC: d, Elapsed: time.Minute, Limit: time.Second}, "has drained for 1m0s without a pause, limit 1s"},
		{Report{Kind: Panic, DPC: d, Value: "boom"}, "panicked: boom"},
	}
	for _, tt := range tests {
		if name := tt.report.Kind.String(); strings.Contains(name, "(") {
			t.Errorf("kind %d has no name", tt.report.Kind)
		}
		if got := tt.report.String(); !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q\nwant it to contain %q", tt.report.Kind, got, tt.want)
		}
	}
}

func routineForNames(_, _ any) {}
