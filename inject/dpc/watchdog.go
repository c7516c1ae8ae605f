package dpc

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Kind says what a Report is about.
type Kind uint8

const (
	// Single: a routine has finished, and took longer than Config.Single. Reported once per run.
	Single Kind = iota
	// Stuck: a routine is still running past Config.Single. Found by the tick, and reported again each time that its
	// time has doubled.
	Stuck
	// Cumulative: a queue has drained for longer than Config.Cumulative without a pause. Reported again each time that
	// its time has doubled.
	Cumulative
	// Panic: a routine panicked, or ended its goroutine.
	Panic
)

func (k Kind) String() string {
	if k > Panic {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return [...]string{"single", "stuck", "cumulative", "panic"}[k]
}

// Report is what the watchdog tells the owner of the pool. The kernel stops the machine instead (bug check 0x133).
type Report struct {
	Kind     Kind
	DPC      *DPC // the one that runs or ran
	Queue    int
	Threaded bool          // the threaded queue of that number
	Elapsed  time.Duration // of the routine; Cumulative: of the drain
	Limit    time.Duration // that was passed; 0 if Kind == Panic
	Value    any           // what was panicked with: valid iff Kind == Panic
	Stack    []byte        // valid iff Kind == Panic
}

func (r Report) String() string {
	where := fmt.Sprintf("dpc: queue %d: %v", r.Queue, r.DPC)
	switch r.Kind {
	case Single:
		return fmt.Sprintf("%s took %v, limit %v: do less per call and queue it again, or hand the work to a goroutine", where, r.Elapsed, r.Limit)
	case Stuck:
		return fmt.Sprintf("%s has been running for %v, limit %v: a routine must not block", where, r.Elapsed, r.Limit)
	case Cumulative:
		return fmt.Sprintf("%s: the queue has drained for %v without a pause, limit %v: spread its DPCs over more queues", where, r.Elapsed, r.Limit)
	default:
		return fmt.Sprintf("%s panicked: %v", where, r.Value)
	}
}

// finished returns the reports that the end of a routine gives cause for; nil for a good one. value is what it panicked
// with. mu is held.
func (q *queue) finished(now int64, value any) (reports []Report) {
	if value != nil {
		q.count.Panics++
		r := q.report(Panic, now-q.run.started, 0)
		r.Value, r.Stack = value, debug.Stack()
		reports = append(reports, r)
	}
	if limit := q.pool.single; limit > 0 && now-q.run.started > limit {
		reports = append(reports, q.report(Single, now-q.run.started, limit))
	}
	return q.checkDrain(reports, now)
}

// checkRunning returns the reports that a tick gives cause for, and gives up waiting for a stalled routine. mu is held.
func (q *queue) checkRunning(now int64) (reports []Report) {
	if !q.draining {
		return nil
	}
	elapsed := now - q.run.started
	if q.pool.single > 0 && elapsed > q.run.stuckAt {
		q.run.stuckAt = 2 * elapsed
		reports = append(reports, q.report(Stuck, elapsed, q.pool.single))
	}
	if q.pool.stall > 0 && elapsed > q.pool.stall {
		q.giveUp(time.Duration(elapsed))
	}
	return q.checkDrain(reports, now)
}

func (q *queue) checkDrain(reports []Report, now int64) []Report {
	elapsed := now - q.run.drained
	if q.pool.cumulative == 0 || elapsed <= q.run.drainAt {
		return reports
	}
	q.run.drainAt = 2 * elapsed
	return append(reports, q.report(Cumulative, elapsed, q.pool.cumulative))
}

// report makes a Report about the routine that runs, and counts it. mu is held.
func (q *queue) report(k Kind, elapsed, limit int64) Report {
	q.count.Reports++
	return Report{
		Kind: k, DPC: q.run.dpc, Queue: q.index, Threaded: q.threaded,
		Elapsed: time.Duration(elapsed), Limit: time.Duration(limit),
	}
}

// deliver hands reports to the owner. No lock is held.
func (p *Pool) deliver(reports []Report) {
	if p.onReport == nil {
		return
	}
	for _, r := range reports {
		p.onReport(r)
	}
}
