package dpc

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Pool is a set of processors: each has a queue for ordinary DPCs and one for threaded DPCs, each with a worker
// goroutine. It is made by NewPool and ended by Close. All methods are safe from any goroutine.
type Pool struct {
	depth                     int
	single, cumulative, stall int64 // nanoseconds; 0: off
	onReport                  func(Report)
	now                       func() int64

	ordinary, threaded, all []*queue // never change; all: first the ordinary ones
	misused                 atomic.Uint64

	working atomic.Int32  // workers that have not ended
	idle    chan struct{} // closed by the last of them
	done    chan struct{} // closed when the tick has ended too
}

// NewPool starts the workers and the tick: two goroutines per queue number (one with NoThreaded), and one. It fails on
// numbers out of range.
func NewPool(cfg Config) (*Pool, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := newPool(cfg)
	p.working.Store(int32(len(p.all)))
	for _, q := range p.all {
		go q.start()
	}
	go p.keepTime(cfg.Ticks, cfg.Tick)
	return p, nil
}

// newPool makes a pool that nothing drives: tests step its queues and its tick by hand.
func newPool(cfg Config) *Pool {
	p := &Pool{
		depth:  cfg.Depth,
		single: max(int64(cfg.Single), 0), cumulative: int64(cfg.Cumulative), stall: max(int64(cfg.Stall), 0),
		onReport: cfg.OnReport, now: cfg.nanoseconds(),
		idle: make(chan struct{}), done: make(chan struct{}),
	}
	for i := range cfg.Queues {
		p.ordinary = append(p.ordinary, newQueue(p, i, false))
		if !cfg.NoThreaded {
			p.threaded = append(p.threaded, newQueue(p, i, true))
		}
	}
	p.all = append(append(p.all, p.ordinary...), p.threaded...)
	return p
}

// Queues is the number of processors; targets are below.
func (p *Pool) Queues() int { return len(p.ordinary) }

// Queue has d's routine called with a1 and a2 on the queue that it is targeted to, or else on its home queue (in the
// order of creation, round robin). It reports whether d was inserted. If not, the arguments are ignored: d is queued
// already, so a call is still to come, or it was refused; Insert tells which.
func (p *Pool) Queue(d *DPC, a1, a2 any) bool { return p.insert(d, noQueue, a1, a2) == nil }

// Insert is Queue with the cause of a refusal: ErrQueued, ErrFull, ErrClosed, ErrTarget, ErrOtherPool.
func (p *Pool) Insert(d *DPC, a1, a2 any) error { return p.insert(d, noQueue, a1, a2) }

func (p *Pool) insert(d *DPC, current int, a1, a2 any) error {
	if d.pool.Load() != p && !d.join(p) {
		p.misused.Add(1)
		return ErrOtherPool
	}
	q, own := p.route(d, current)
	if q == nil {
		p.misused.Add(1)
		return ErrTarget
	}
	return q.insert(d, own, a1, a2)
}

// route chooses the queue, and says whether it is the current processor's. Without a current processor an untargeted DPC
// takes its home for it, and a targeted one is always sent to another.
func (p *Pool) route(d *DPC, current int) (q *queue, own bool) {
	target := int(d.target.Load())
	if target == noQueue {
		if current == noQueue {
			current = int(d.number % uint64(len(p.ordinary)))
		}
		target = current
	}
	if target >= len(p.ordinary) {
		return nil, false
	}
	if len(p.threaded) > 0 && d.threaded.Load() {
		return p.threaded[target], target == current
	}
	return p.ordinary[target], target == current
}

// Remove takes d out of its queue. True: it was queued and that call will not run, for certain. False: it was not queued;
// its routine may be running.
func (p *Pool) Remove(d *DPC) bool {
	q := d.queue.Load()
	return q != nil && q.pool == p && q.remove(d)
}

// Close refuses new DPCs, runs those that are queued, and waits for the workers to end. If it fails the pool is closed
// all the same, goes on to run what is queued, and Close may be called again to wait further.
//
// Errors: as Flush. With ErrBlockingInDPC nothing was closed.
func (p *Pool) Close(ctx context.Context) error {
	if InRoutine(ctx) {
		return ErrBlockingInDPC
	}
	for _, q := range p.all {
		q.close()
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("dpc: waiting for the workers to end: %w", ctx.Err())
	}
}

func (p *Pool) workerDone() {
	if p.working.Add(-1) == 0 {
		close(p.idle)
	}
}
