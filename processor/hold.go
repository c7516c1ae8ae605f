package processor

import (
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/inject"
)

// Deferred is a deferred call's way to act; valid during the call.
type Deferred struct {
	flow     *Flow
	injector *inject.Injector
}

// Flow is the flow whose queue the call runs on.
func (d *Deferred) Flow() *Flow { return d.flow }

// Inject puts a packet in, in the flow's order. No classification is running, so TCP may go in.
func (d *Deferred) Inject(in inject.Injection) error { return d.injector.Inject(nil, in) }

// Held is a packet that a callout took out of the pipeline. It may be changed until it is released.
type Held struct{ *divertdrv.Held }

// defers makes a job of fn.
func (w *worker) defers(f *Flow, fn func(d *Deferred)) bool {
	if !w.p.order.reserve() {
		w.counts.deferRefused.Add(1)
		return false
	}
	f.pending.Add(1)
	w.counts.deferred.Add(1)
	d := &Deferred{flow: f, injector: w.injector}
	w.jobs = append(w.jobs, &job{flow: f, run: func() { w.contain(func() { fn(d) }) }})
	return true
}

// contain runs deferred work of a callout; a panic in it is counted and goes no further, but misuse of a batch does.
func (w *worker) contain(fn func()) {
	defer func() {
		if r := recover(); r != nil {
			if m, ok := r.(divertdrv.Misuse); ok {
				panic(m)
			}
			w.counts.panics.Add(1)
		}
	}()
	fn()
}

// holds takes the packet of c out of the batch, with a place in its flow's order.
func (w *worker) holds(c *Classification, deadline time.Duration, byDefault divertdrv.Mark) (*Held, error) {
	ordered := c.Flow != nil && w.p.order.reserve()
	hd, err := w.batch.Hold(c.index, deadline, byDefault)
	if err != nil {
		if ordered {
			w.p.order.room.Add(1)
		}
		return nil, err
	}
	w.counts.heldPackets.Add(1)
	w.p.held.add(hd, byDefault)
	var released atomic.Bool
	if ordered {
		f, q := c.Flow, c.Flow.queue
		f.pending.Add(1)
		w.jobs = append(w.jobs, &job{flow: f, wait: &released})
		hd.AfterRelease(func() {
			w.p.held.remove(hd)
			q.release(f, &released)
		})
	} else {
		hd.AfterRelease(func() { w.p.held.remove(hd) })
	}
	c.held = &Held{hd}
	return c.held, nil
}

// park makes a packet that may pass wait behind its flow's jobs. Without room it is dropped: passing it would break the order.
func (w *worker) park(i int, f *Flow) {
	p := &w.batch.Packets()[i]
	if !w.p.order.reserve() {
		w.counts.parkRefused.Add(1)
		p.Set(divertdrv.Drop, reason.DeferFull)
		return
	}
	hd, err := w.batch.Hold(i, 0, divertdrv.Pass)
	if err != nil {
		w.p.order.room.Add(1)
		w.counts.parkRefused.Add(1)
		p.Set(divertdrv.Drop, reason.HoldFull)
		return
	}
	f.pending.Add(1)
	w.counts.parked.Add(1)
	w.jobs = append(w.jobs, &job{flow: f, run: func() { _ = hd.Release(divertdrv.Pass, 0) }})
}
