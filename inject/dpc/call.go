package dpc

import (
	"context"
	"time"
)

// Call is one run of a DPC, as its routine sees it. It is a value and may be kept, though only the routine that it was
// made for can make sense of it.
type Call struct {
	DPC        *DPC
	Arg1, Arg2 any

	queue   *queue
	started int64 // of this routine, in nanoseconds of Pool.now
	drained int64 // since when the queue has been draining
}

// Context is for calls that might block: it carries the mark by which Flush, Close, and whoever asks InRoutine refuse
// with ErrBlockingInDPC. It never ends. Do not hand it to a goroutine that may block.
func (c Call) Context() context.Context { return c.queue.context }

// Pool is where the DPC runs.
func (c Call) Pool() *Pool { return c.queue.pool }

// Processor is the number of the queue that runs the DPC.
func (c Call) Processor() int { return c.queue.index }

// Queue is Pool.Queue with the running queue as the current processor: a DPC without a target goes there, and what is
// targeted there runs in the drain that is going on.
func (c Call) Queue(d *DPC, a1, a2 any) bool {
	return c.queue.pool.insert(d, c.queue.index, a1, a2) == nil
}

// Watchdog is what KeQueryDpcWatchdogInformation tells: the limits that are in force and what is left of them. A limit
// of 0 is off. What is left is negative once the limit has passed. A routine with more to do than time left queues its
// own DPC again and returns.
type Watchdog struct {
	Single, SingleLeft         time.Duration
	Cumulative, CumulativeLeft time.Duration
}

// Watchdog reads the clock once.
func (c Call) Watchdog() Watchdog {
	p, now := c.queue.pool, c.queue.pool.now()
	return Watchdog{
		Single: time.Duration(p.single), SingleLeft: left(p.single, now-c.started),
		Cumulative: time.Duration(p.cumulative), CumulativeLeft: left(p.cumulative, now-c.drained),
	}
}

func left(limit, elapsed int64) time.Duration {
	if limit == 0 {
		return 0
	}
	return time.Duration(limit - elapsed)
}

type routineKey struct{}

// InRoutine reports whether ctx came from Call.Context, of any pool. A function that waits returns ErrBlockingInDPC
// then.
func InRoutine(ctx context.Context) bool { return ctx.Value(routineKey{}) != nil }

func routineContext() context.Context {
	return context.WithValue(context.Background(), routineKey{}, true)
}
