package dpc

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
)

// Each test here is one fact of the Windows documentation (or, where it is silent, of ReactOS), on a pool that is
// stepped by hand.

// recorder notes the order in which DPCs run, and with what.
type recorder struct{ ran []any }

func (r *recorder) dpc(i Importance) *DPC {
	d := New(func(a1, _ any) { r.ran = append(r.ran, a1) })
	d.SetImportance(i)
	return d
}

func (r *recorder) want(t *testing.T, args ...any) {
	t.Helper()
	if !slices.Equal(r.ran, args) {
		t.Errorf("ran %v, want %v", r.ran, args)
	}
}

// drainAll steps until no queue asks for it.
func drainAll(p *Pool) {
	for again := true; again; {
		again = false
		for _, q := range p.all {
			again = q.step() || again
		}
	}
}

// busy keeps the request rate of queue 0 above the floor for Low.
func busy(p *Pool) { p.ordinary[0].pacing.rate = rateIdeal }

func TestQueueOnceSecondIsRefusedAndItsArgumentsLost(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var r recorder
	d := r.dpc(Medium)
	if !p.Queue(d, "first", nil) || p.Queue(d, "second", nil) {
		t.Error("want true, then false")
	}
	if err := p.Insert(d, "third", nil); err != ErrQueued {
		t.Errorf("Insert: %v, want ErrQueued", err)
	}
	drainAll(p)
	r.want(t, "first")
	if s := p.Stats(); s.Queued != 1 || s.RefusedQueued != 2 || s.Ran != 1 {
		t.Errorf("stats %+v", s.Counters)
	}
}

func TestArgumentsBothArriveAndAreLetGo(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var got [2]any
	d := New(func(a1, a2 any) { got = [2]any{a1, a2} })
	p.Queue(d, 1, "two")
	drainAll(p)
	if got != [2]any{1, "two"} {
		t.Errorf("got %v", got)
	}
	if d.arg1 != nil || d.arg2 != nil {
		t.Error("the DPC keeps its arguments after the run")
	}
}

func TestRequeueFromItsOwnRoutine(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	runs := 0
	d := NewFunc(func(c Call) {
		if runs++; runs < 3 && !c.Queue(c.DPC, nil, nil) {
			t.Error("a running DPC could not be queued")
		}
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	if runs != 3 {
		t.Errorf("%d runs, want 3", runs)
	}
}

func TestRequeuedWhileRunningRunsOnAnotherQueueAtTheSameTime(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	running, most := 0, 0
	d := NewFunc(func(c Call) {
		running++
		most = max(most, running)
		if c.Processor() == 0 {
			c.DPC.SetTarget(1)
			c.Queue(c.DPC, nil, nil)
			p.ordinary[1].step()
		}
		running--
	})
	d.SetImportance(MediumHigh)
	d.SetTarget(0)
	p.Queue(d, nil, nil)
	drainAll(p)
	if most != 2 {
		t.Errorf("at most %d at once, want 2", most)
	}
}

func TestQueuesOnePerProcessorAndOneThreadedEach(t *testing.T) {
	p, _ := steppable(t, Config{})
	if n := runtime.GOMAXPROCS(0); p.Queues() != n || len(p.ordinary) != n || len(p.threaded) != n {
		t.Errorf("%d ordinary, %d threaded, want %d each", len(p.ordinary), len(p.threaded), n)
	}
}

func TestWithoutTargetItGoesToTheCurrentProcessor(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 4})
	var on []int
	child := NewFunc(func(c Call) { on = append(on, c.Processor()) })
	parent := NewFunc(func(c Call) { c.Queue(child, nil, nil) })
	parent.SetImportance(MediumHigh)
	for i := range p.Queues() {
		parent.SetTarget(i)
		p.Queue(parent, nil, nil)
		drainAll(p)
	}
	if !slices.Equal(on, []int{0, 1, 2, 3}) {
		t.Errorf("ran on %v, want 0 to 3", on)
	}
}

func TestOutsideARoutineHomesGoRoundAndStay(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 3})
	var on []int
	for range 6 {
		d := NewFunc(func(c Call) { on = append(on, c.Processor()) })
		for range 2 {
			p.Queue(d, nil, nil)
			drainAll(p)
		}
	}
	for i := 0; i < len(on); i += 2 {
		if on[i] != on[i+1] || on[i] != (on[0]+i/2)%3 {
			t.Fatalf("homes %v: want each twice, and the next one for the next DPC", on)
		}
	}
}

func TestTargetHoldsForTheNextQueueOnly(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	var on []int
	d := NewFunc(func(c Call) { on = append(on, c.Processor()) })
	d.SetImportance(MediumHigh)
	d.SetTarget(1)
	p.Queue(d, nil, nil)
	d.SetTarget(0) // too late for the call that is queued
	drainAll(p)
	p.Queue(d, nil, nil)
	drainAll(p)
	if !slices.Equal(on, []int{1, 0}) {
		t.Errorf("ran on %v, want 1, then 0", on)
	}
}

func TestTargetOutOfRangeIsRefusedAndChangesNothing(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	on := -1
	d := NewFunc(func(c Call) { on = c.Processor() })
	d.SetImportance(MediumHigh)
	if d.SetTarget(-1) || d.SetTarget(MaxQueues) || !d.SetTarget(1) {
		t.Error("before the first Queue: want the range 0 to MaxQueues-1")
	}
	p.Queue(d, nil, nil)
	drainAll(p)
	if d.SetTarget(2) {
		t.Error("after the first Queue: a number past the pool's was taken")
	}
	on = -1
	p.Queue(d, nil, nil)
	drainAll(p)
	if on != 1 {
		t.Errorf("ran on %d, want 1 as before", on)
	}
}

func TestTargetPastThePoolIsRefusedAtQueue(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	d := New(func(_, _ any) {})
	d.SetTarget(2)
	if err := p.Insert(d, nil, nil); err != ErrTarget || p.Stats().RefusedMisuse != 1 {
		t.Errorf("Insert: %v, stats %+v; want ErrTarget, counted", err, p.Stats())
	}
}

func TestImportanceHighGoesToTheHeadOthersToTheTail(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var r recorder
	for _, i := range []Importance{Low, Medium, MediumHigh, High, High, Medium} {
		p.Queue(r.dpc(i), [2]any{i, len(r.ran) + p.Stats().Waiting}, nil)
	}
	drainAll(p)
	r.want(t, [2]any{High, 4}, [2]any{High, 3}, [2]any{Low, 0}, [2]any{Medium, 1}, [2]any{MediumHigh, 2}, [2]any{Medium, 5})
}

func TestImportanceIsMediumUnlessSetAndUndefinedChangesNothing(t *testing.T) {
	d := New(func(_, _ any) {})
	if got := Importance(d.importance.Load()); got != Medium {
		t.Errorf("%v, want Medium", got)
	}
	d.SetImportance(High)
	d.SetImportance(High + 1)
	if got := Importance(d.importance.Load()); got != High {
		t.Errorf("%v, want High", got)
	}
}

func TestDrainRunsUntilEmptyOneAtATime(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var r recorder
	inside := false
	second := r.dpc(Low)
	first := NewFunc(func(c Call) {
		inside = true
		c.Queue(second, "inserted while draining", nil)
		if p.ordinary[0].step() || len(r.ran) != 0 {
			t.Error("a second routine ran within the first")
		}
		inside = false
	})
	busy(p) // so that Low asks for no drain of its own
	p.Queue(first, nil, nil)
	drainAll(p)
	if inside {
		t.Error("the first routine did not end")
	}
	r.want(t, "inserted while draining")
}

func TestThreadedHasItsOwnQueueDrainedAtOnceWhateverTheImportance(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	var r recorder
	for _, i := range []Importance{Low, Medium, High} {
		d := r.dpc(i)
		d.SetThreaded(true)
		d.SetTarget(1)
		p.Queue(d, i, nil)
	}
	if q := p.threaded[1]; !q.requested || q.waiting != 3 || p.ordinary[1].waiting != 0 {
		t.Errorf("threaded queue requested=%v waiting=%d, ordinary waiting=%d", q.requested, q.waiting, p.ordinary[1].waiting)
	}
	drainAll(p)
	r.want(t, High, Low, Medium)
}

func TestThreadedAreOrdinaryIfTurnedOff(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1, NoThreaded: true})
	var r recorder
	d := r.dpc(Medium)
	d.SetThreaded(true)
	p.Queue(d, 1, nil)
	if p.ordinary[0].waiting != 1 || len(p.threaded) != 0 {
		t.Error("not in the ordinary queue")
	}
	drainAll(p)
	r.want(t, 1)
}

func TestRemoveTrueMeansItWillNotRun(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var r recorder
	ds := []*DPC{r.dpc(Medium), r.dpc(Medium), r.dpc(Medium)}
	for _, out := range [][]int{{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {2, 1, 0}} {
		r.ran = nil
		var stay []any
		for i, d := range ds {
			p.Queue(d, i, nil)
			if !slices.Contains(out, i) {
				stay = append(stay, i)
			}
		}
		for _, i := range out {
			if !p.Remove(ds[i]) || p.Remove(ds[i]) {
				t.Errorf("Remove %d of %v: want true, then false", i, out)
			}
		}
		drainAll(p)
		r.want(t, stay...)
	}
}

func TestRemoveFalseWhileItsRoutineRuns(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	d := NewFunc(func(c Call) {
		if c.Pool().Remove(c.DPC) {
			t.Error("a running DPC was removed")
		}
		c.Queue(c.DPC, nil, nil)
		if !c.Pool().Remove(c.DPC) {
			t.Error("a DPC queued again while running was not removed")
		}
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	if s := p.Stats(); s.Ran != 1 || s.Removed != 1 {
		t.Errorf("stats %+v", s.Counters)
	}
}

func TestSingleLimitIs100MicrosecondsUnlessSet(t *testing.T) {
	var got []Report
	p, clock := steppable(t, Config{Queues: 1, OnReport: func(r Report) { got = append(got, r) }})
	d := New(func(a1, _ any) { clock.advance(a1.(time.Duration)) })
	for _, took := range []time.Duration{100 * time.Microsecond, 100*time.Microsecond + 1} {
		p.Queue(d, took, nil)
		drainAll(p)
	}
	if len(got) != 1 || got[0].Kind != Single || got[0].Limit != 100*time.Microsecond || got[0].Elapsed != 100*time.Microsecond+1 {
		t.Errorf("got %+v, want one report, of the second run", got)
	}
}

func TestQueryTellsLimitsAndWhatIsLeft(t *testing.T) {
	p, clock := steppable(t, Config{Queues: 1, Single: 10, Cumulative: 100})
	var got []Watchdog
	d := NewFunc(func(c Call) {
		clock.advance(7)
		got = append(got, c.Watchdog())
		if len(got) < 2 {
			c.Queue(c.DPC, nil, nil)
		}
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	if want := []Watchdog{{10, 3, 100, 93}, {10, 3, 100, 86}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQueryTellsZeroForLimitsThatAreOff(t *testing.T) {
	p, clock := steppable(t, Config{Queues: 1, Single: -1})
	d := NewFunc(func(c Call) {
		clock.advance(time.Hour)
		if got := c.Watchdog(); got != (Watchdog{}) {
			t.Errorf("got %+v, want zeros", got)
		}
	})
	p.Queue(d, nil, nil)
	drainAll(p)
	if s := p.Stats(); s.Ran != 1 || s.Reports != 0 {
		t.Errorf("stats %+v, want one run and no report", s.Counters)
	}
}

func TestDepthBoundsEachQueueAndRefusalsAreCounted(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2, Depth: 2, NoThreaded: true})
	var r recorder
	var refused *DPC
	for i := range 3 {
		d := r.dpc(MediumHigh)
		d.SetTarget(1)
		err := p.Insert(d, i, nil)
		if want := i == 2; errors.Is(err, ErrFull) != want {
			t.Errorf("insert %d: %v", i, err)
		}
		refused = d
	}
	if p.Remove(refused) {
		t.Error("a refused DPC was queued")
	}
	if s := p.Stats(); s.RefusedFull != 1 || s.Queues[1].RefusedFull != 1 || s.HighWater != 2 {
		t.Errorf("stats %+v", s)
	}
	drainAll(p)
	if !p.Queue(refused, 2, nil) {
		t.Error("refused with room")
	}
	drainAll(p)
	r.want(t, 0, 1, 2)
}

func TestOneDPCOnePool(t *testing.T) {
	a, _ := steppable(t, Config{Queues: 1})
	b, _ := steppable(t, Config{Queues: 1})
	d := New(func(_, _ any) {})
	for range 2 { // as when two goroutines queue it first
		if !d.join(a) {
			t.Error("its own pool was refused")
		}
	}
	if !a.Queue(d, nil, nil) || b.Insert(d, nil, nil) != ErrOtherPool || b.Remove(d) || !a.Remove(d) {
		t.Error("a DPC of one pool was taken by another")
	}
}
