package processor

import (
	"errors"
	"slices"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// The path of a packet, in the order of this file and the next:
//
//	1 run       receives a batch, and completes it when all its packets are judged
//	2 packet    marks a packet by the result
//	3 judge     finds the packet's flow and moves it on            classifier.go, flowtable.go, flow.go
//	4 classify  walks the layers of the packet                     classifier.go, walk.go
//	5 decide    asks the sublayers of a layer and arbitrates       classify.go
//	6 ask       finds the filter of a sublayer that decides        classify.go
//	7 call      runs a callout                                     classify.go
//	8 submit    hands over what was deferred                       order.go

// worker is one reader of one handle. mu is held while a batch is judged, so that others can look at flows between batches.
type worker struct {
	p     *Processor
	h     *divertdrv.Handle
	batch *divertdrv.Batch

	handle int // h's place in Config.Handles

	mu sync.Mutex // guards all below, but for counters
	classifier
	flows      *flowTable
	known      *callouts // those that are registered
	generation uint32    // of policy and known; a flow that was authorised by another is authorised again
	latest     int64     // with packetTime: the time of the packet that is latest
	cuts       bool      // the handle can leave flows to the kernel; does not change
	era        uint64    // of the handle's judgements, read before policy
	fullUntil  int64     // until then the kernel has no room for another flow
	observer   *Observer // of the batch; nil: nobody
}

// run returns nil when the handle gives no more packets.
func (w *worker) run() error {
	for {
		if err := w.h.Recv(w.batch); err != nil {
			return ended(err)
		}
		w.judgeBatch()
		err := w.injector.Complete(w.batch)
		w.submit()
		if err != nil {
			return ended(err)
		}
	}
}

func ended(err error) error {
	if errors.Is(err, divertdrv.ErrShutdown) || errors.Is(err, divertdrv.ErrClosed) {
		return nil
	}
	return err
}

func (w *worker) judgeBatch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt()
	w.observer = w.p.observer.Load()
	w.flows.touch(w.batch.Packets())
	now := w.p.now()
	w.returned, w.returnedAt = now, -1
	for i := range w.batch.Packets() {
		if w.p.packetTime {
			now = w.packetTime(i)
		}
		w.packet(i, now)
	}
}

// time is the time of flows between batches.
func (w *worker) time() int64 {
	if w.p.packetTime {
		return w.latest
	}
	return w.p.now()
}

// packetTime is the time of packet i, which does not go back.
func (w *worker) packetTime(i int) int64 {
	w.latest = max(w.latest, w.batch.Packets()[i].Addr.Timestamp)
	return w.latest
}

// adopt takes up the policy in force and the callouts that are registered, so that no batch mixes two. Callouts that are named no
// more lose their contexts of flows.
func (w *worker) adopt() {
	if w.cuts {
		w.era = w.h.Era()
	}
	pol, known := w.p.policy.Load(), w.p.callouts.Load()
	if pol == w.policy && known == w.known {
		return
	}
	bound := known.bind(pol)
	old := w.bound
	if pol != w.policy {
		w.filters, w.times = w.counts.adopt(pol)
	}
	if pol != w.policy || !slices.Equal(old, bound) {
		w.generation++
	}
	w.policy, w.known, w.bound = pol, known, bound
	if w.flows.contexts.Load() == 0 {
		return
	}
	if out := gone(old, bound); len(out) > 0 {
		w.flows.each(func(f *Flow) {
			f.dropContexts(func(x *flowContext) bool { return slices.Contains(out, Callout(x.callout)) })
		})
	}
}

// packet judges packet i of the batch.
func (w *worker) packet(i int, now int64) {
	p := &w.batch.Packets()[i]
	w.observe(p)
	r := w.judge(i, p, now)
	flow := w.c.Flow
	w.c.held = nil
	switch {
	case r.fate == HeldBack:
	case r.fate == Dropped:
		p.Set(divertdrv.Drop, r.cause)
	case flow != nil && flow.pending.Load() > 0:
		if why := w.park(i, flow); why != reason.Unmarked {
			r = result{fate: Dropped, cause: why}
		}
	default:
		p.Set(divertdrv.Pass, reason.Unmarked)
	}
	if w.cuts && flow != nil {
		w.cutThrough(flow, p, &r)
	}
	w.tell(p, r)
	w.observed(p, r, flow)
}

// tick takes up a new policy, and ends flows that have been silent for too long; it is for when no packets come.
func (w *worker) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt()
	w.flows.sweep(w.time(), max(sweepMin, w.flows.used/64))
}

// takeUp takes up a new policy between two batches.
func (w *worker) takeUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt()
}

const sweepMin = 4096

// finish ends all flows.
func (w *worker) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flows.each(w.flows.end)
}

// submit hands the jobs of the batch over to their flows' queues.
func (w *worker) submit() {
	if len(w.jobs) == 0 {
		return
	}
	w.p.order.submit(w.jobs)
	clear(w.jobs)
	w.jobs = w.jobs[:0]
	if w.p.settles {
		_ = w.p.order.settle(w.p.ctx)
	}
}
