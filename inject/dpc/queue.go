package dpc

import (
	"context"
	"sync"
)

// queue is one processor's list of waiting DPCs: the ordinary one or the threaded one. One worker drains it.
//
//	           insert, rule says now; tick; flush         worker takes over
//	quiet ─────────────────────────────────▶ requested ──────────────────▶ draining ──▶ quiet (list is empty)
type queue struct {
	pool     *Pool
	index    int
	threaded bool
	context  context.Context // what Call.Context returns

	// mu guards all below, and the list fields of every DPC that waits here. It is never held while a routine or
	// OnReport runs.
	mu         sync.Mutex
	wake       sync.Cond // requested or closed became true
	head, tail *DPC
	waiting    int
	requested  bool
	draining   bool // while mu is free: a routine is running
	closed     bool // nothing is admitted; the worker ends once nothing waits
	pacing     pacing
	arrived    int // inserted since the last tick
	count      Counters

	run runState

	epoch    uint64 // raised by each flush
	barriers []*barrier
}

func newQueue(p *Pool, index int, threaded bool) *queue {
	q := &queue{pool: p, index: index, threaded: threaded, context: routineContext(), pacing: newPacing()}
	q.wake.L = &q.mu
	return q
}

// insert admits d, or says why not. own: the queue is the current processor's.
func (q *queue) insert(d *DPC, own bool, a1, a2 any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.claim(d); err != nil {
		return err
	}
	i := Importance(d.importance.Load())
	d.arg1, d.arg2, d.epoch = a1, a2, q.epoch
	q.link(d, i == High)
	q.arrived++
	q.count.Queued++
	q.count.HighWater = max(q.count.HighWater, q.waiting)
	if q.threaded || drainNow(own, i, q.waiting, q.pacing.depthLimit, q.pacing.rate) {
		q.request()
	}
	return nil
}

// claim makes d this queue's. The swap comes last: a refusal for another cause must never let a Queue of d elsewhere see
// it as queued, since that caller would rely on a call that never comes.
func (q *queue) claim(d *DPC) error {
	if d.queue.Load() == nil {
		if q.closed {
			q.count.RefusedClosed++
			return ErrClosed
		}
		if q.waiting >= q.pool.depth {
			q.count.RefusedFull++
			return ErrFull
		}
		if d.queue.CompareAndSwap(nil, q) {
			return nil
		}
	}
	q.count.RefusedQueued++
	return ErrQueued
}

// request has the worker drain the queue, unless it does or will do so anyway.
func (q *queue) request() {
	if q.draining || q.requested {
		return
	}
	q.requested = true
	q.wake.Signal()
}

// remove takes d out if it still waits here.
func (q *queue) remove(d *DPC) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.queue.Load() != q {
		return false // its routine started since the caller looked
	}
	epoch := d.epoch
	q.unlink(d)
	q.count.Removed++
	q.settled(epoch)
	return true
}

func (q *queue) link(d *DPC, first bool) {
	switch {
	case q.head == nil:
		q.head, q.tail = d, d
	case first:
		d.next, q.head.prev = q.head, d
		q.head = d
	default:
		d.prev, q.tail.next = q.tail, d
		q.tail = d
	}
	q.waiting++
}

// unlink takes d out of the list and marks it not queued. From then on d may be in another queue: it is not touched again.
func (q *queue) unlink(d *DPC) {
	if d.prev == nil {
		q.head = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		q.tail = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.next, d.prev, d.arg1, d.arg2 = nil, nil, nil, nil
	q.waiting--
	d.queue.Store(nil)
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Signal()
}
