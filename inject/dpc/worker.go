package dpc

import (
	"context"
	"fmt"
	"runtime/pprof"
)

// runState is what the worker is at; valid iff queue.draining. queue.mu guards it, but for returned, which is the worker's.
type runState struct {
	dpc      *DPC
	epoch    uint64
	started  int64 // of the routine, in nanoseconds of Pool.now
	drained  int64 // since when the queue has been draining
	returned bool  // the routine came back by itself
	exited   bool  // the routine ended the goroutine, so the worker ends too
	stuckAt  int64 // elapsed time at which the tick reports the routine next
	drainAt  int64 // elapsed time at which the drain is reported next
}

// start runs the worker under a label, so that a goroutine or CPU profile shows what runs as a DPC, and on which queue.
// A goroutine that a routine starts inherits it.
func (q *queue) start() {
	name := fmt.Sprintf("queue %d", q.index)
	if q.threaded {
		name += " threaded"
	}
	pprof.Do(context.Background(), pprof.Labels("dpc", name), func(context.Context) { q.work() })
}

// work drains the queue whenever that is requested, until the queue is closed and empty.
func (q *queue) work() {
	q.mu.Lock()
	defer q.leave()
	for {
		for !q.requested && !q.closed {
			q.wake.Wait()
		}
		q.drain()
		if q.closed {
			return
		}
	}
}

// leave ends the worker. If a routine ended the goroutine, another goroutine takes over where it stood.
func (q *queue) leave() {
	switch {
	case q.run.exited:
		q.run = runState{}
		q.draining = false
		q.requested = q.head != nil
		q.mu.Unlock()
		go q.start()
	case !q.draining:
		q.mu.Unlock()
		q.pool.workerDone()
	default:
		// OnReport panicked: the panic goes on to end the program, with mu not held.
	}
}

// drain runs what waits, head first, until nothing does. mu is held on entry and on return, not while a routine runs.
func (q *queue) drain() {
	q.requested, q.draining = false, true
	q.run.drained, q.run.drainAt = q.pool.now(), q.pool.cumulative
	for q.head != nil {
		q.runHead()
	}
	q.draining = false
	q.run.dpc = nil
}

// runHead runs one routine. The DPC is marked not queued before, so it can be queued again while it runs.
func (q *queue) runHead() {
	d := q.head
	r := &q.run
	r.dpc, r.epoch, r.returned = d, d.epoch, false
	r.started, r.stuckAt = q.pool.now(), q.pool.single
	call := Call{DPC: d, Arg1: d.arg1, Arg2: d.arg2, queue: q, started: r.started, drained: r.drained}
	q.unlink(d)
	q.mu.Unlock()
	defer q.finish()
	d.routine(call)
	r.returned = true
}

// finish settles the routine that has just ended: by return, by panic, or by runtime.Goexit. It leaves mu held. Reports
// go out before the routine counts as finished, so that OnReport is a part of it for Flush and for the stall limit.
func (q *queue) finish() {
	value := recover()
	r := &q.run
	exited := value == nil && !r.returned
	if exited {
		value = ErrGoexit
	}
	now := q.pool.now()
	q.mu.Lock()
	if reports := q.finished(now, value); reports != nil {
		q.mu.Unlock()
		q.pool.deliver(reports)
		q.mu.Lock()
	}
	r.exited = exited
	q.count.Ran++
	q.settled(r.epoch)
}
