package processor

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/inject"
)

// The path of a packet, in the order of this file and the next:
//
//	1 run       receives a batch, and completes it when all its packets are judged
//	2 packet    finds the packet's flow and marks the packet by the result
//	3 classify  walks the layers of its direction               classify.go
//	4 decide    asks the sublayers of a layer and arbitrates     classify.go
//	5 ask       finds the filter of a sublayer that decides      classify.go
//	6 call      runs a callout                                   classify.go
//	7 submit    hands over what was deferred                     order.go

// worker is one reader of one handle. All but its counters belong to the goroutine that runs it.
type worker struct {
	p        *Processor
	h        *divertdrv.Handle
	injector *inject.Injector
	batch    *divertdrv.Batch
	flows    *flowTable
	policy   *Policy
	counts   *counters
	filters  []filterCounters // of policy, by boundFilter.index
	scope    inject.Scope
	c        Classification
	jobs     []*job // made in this batch
}

// run returns nil when the handle gives no more packets.
func (w *worker) run() error {
	for {
		if err := w.h.Recv(w.batch); err != nil {
			return ended(err)
		}
		w.adopt()
		for i := range w.batch.Packets() {
			w.packet(i)
		}
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

// adopt takes up the policy in force, so that no batch mixes two.
func (w *worker) adopt() {
	if pol := w.p.policy.Load(); pol != w.policy {
		w.policy = pol
		w.filters = w.counts.adopt(pol)
	}
}

// packet judges packet i of the batch.
func (w *worker) packet(i int) {
	p := &w.batch.Packets()[i]
	h := p.Headers()
	if h.Version == 0 {
		w.counts.undecoded.Add(1)
	}
	flow := w.flows.find(p.Data, h)
	cause, pass := w.classify(i, p, flow)
	switch {
	case w.c.held != nil:
		w.c.held = nil // it has its own way
	case !pass:
		p.Set(divertdrv.Drop, cause)
	case flow != nil && flow.pending.Load() > 0:
		w.park(i, flow)
	default:
		p.Set(divertdrv.Pass, reason.Unmarked)
	}
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
