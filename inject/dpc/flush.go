package dpc

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// barrier is one flush at one queue: it waits for the DPCs of earlier epochs that have neither finished nor been removed.
type barrier struct {
	epoch uint64 // what was inserted before has a smaller one
	left  int
	err   error         // written before done is closed
	done  chan struct{} // closed when nothing is left, or err is set
}

// Flush returns when all DPCs that were queued before the call have finished or been removed, on every queue; it has
// deferred ones drained at once. What is queued later is not waited for, though with High importance it may run before.
// It is slow: a lock and a channel per busy queue.
//
// Errors: ErrBlockingInDPC with the context of a routine, the end of ctx, ErrStalled (see Config.Stall).
func (p *Pool) Flush(ctx context.Context) error {
	if InRoutine(ctx) {
		return ErrBlockingInDPC
	}
	return p.await(ctx)
}

func (p *Pool) await(ctx context.Context) error {
	barriers := make([]*barrier, len(p.all))
	for i, q := range p.all {
		barriers[i] = q.raise()
	}
	for i, b := range barriers {
		if b == nil {
			continue
		}
		select {
		case <-b.done:
			if b.err == nil {
				continue
			}
			p.lower(barriers[i+1:])
			return b.err
		case <-ctx.Done():
			p.lower(barriers)
			return fmt.Errorf("dpc: waiting for queue %d: %w", p.all[i].index, ctx.Err())
		}
	}
	return nil
}

// raise puts up a barrier behind all that is queued or running; nil if nothing is.
func (q *queue) raise() *barrier {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.waiting
	if q.draining {
		left++
	}
	if left == 0 {
		return nil
	}
	q.epoch++
	b := &barrier{epoch: q.epoch, left: left, done: make(chan struct{})}
	q.barriers = append(q.barriers, b)
	if q.waiting > 0 {
		q.request()
	}
	return b
}

// lower takes down barriers that nobody waits for any more.
func (p *Pool) lower(barriers []*barrier) {
	for _, q := range p.all {
		q.mu.Lock()
		q.barriers = slices.DeleteFunc(q.barriers, func(b *barrier) bool { return slices.Contains(barriers, b) })
		q.mu.Unlock()
	}
}

// settled says that a DPC inserted in epoch has finished or been removed. mu is held.
func (q *queue) settled(epoch uint64) {
	if len(q.barriers) == 0 {
		return
	}
	q.barriers = slices.DeleteFunc(q.barriers, func(b *barrier) bool {
		if epoch >= b.epoch {
			return false
		}
		if b.left--; b.left > 0 {
			return false
		}
		close(b.done)
		return true
	})
}

// giveUp ends all flushes at this queue: each waits for the routine that runs, or for what is queued behind it. mu is held.
func (q *queue) giveUp(elapsed time.Duration) {
	for _, b := range q.barriers {
		b.err = fmt.Errorf("dpc: queue %d: %v has been running for %v: %w", q.index, q.run.dpc, elapsed, ErrStalled)
		close(b.done)
	}
	clear(q.barriers)
	q.barriers = q.barriers[:0]
}
