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
type Held struct {
	*divertdrv.Held
	injector *inject.Injector
}

// Release completes the packet: exactly once, as divertdrv.Held does. One that passes and grew past the MTU is treated as the
// injector's TooBig says.
func (h *Held) Release(m divertdrv.Mark, why divertdrv.Cause) error {
	return h.injector.Release(h.Held, m, why)
}

// defers makes a job of fn.
func (k *classifier) defers(f *Flow, fn func(d *Deferred)) bool {
	if !k.w.p.order.reserve() {
		k.counts.deferRefused.Add(1)
		return false
	}
	f.pending.Add(1)
	k.counts.deferred.Add(1)
	d := &Deferred{flow: f, injector: k.injector}
	k.jobs = append(k.jobs, &job{flow: f, run: func() { k.contain(func() { fn(d) }) }})
	return true
}

// contain runs deferred work of a callout; a panic in it is counted and goes no further, but misuse of a batch does.
func (k *classifier) contain(fn func()) {
	defer func() {
		if r := recover(); r != nil {
			if m, ok := r.(divertdrv.Misuse); ok {
				panic(m)
			}
			k.counts.panics.Add(1)
		}
	}()
	fn()
}

// holds takes the packet of c out of the batch, with a place in its flow's order. released, if not nil, is called when it was
// released, by whomever, before the packets behind it go on.
func (k *classifier) holds(c *Classification, deadline time.Duration, byDefault divertdrv.Mark, released func()) (*Held, error) {
	if k.batch == nil || c.index == inNoBatch {
		return nil, ErrCannotPend
	}
	ordered := c.Flow != nil && k.w.p.order.reserve()
	hd, err := k.batch.Hold(c.index, deadline, byDefault)
	if err != nil {
		if ordered {
			k.w.p.order.room.Add(1)
		}
		return nil, err
	}
	k.counts.heldPackets.Add(1)
	k.w.p.held.add(hd, byDefault)
	on := func() {}
	if ordered {
		f, q, gone := c.Flow, c.Flow.queue, new(atomic.Bool)
		f.pending.Add(1)
		k.jobs = append(k.jobs, &job{flow: f, wait: gone})
		on = func() { q.release(f, gone) }
	}
	hd.AfterRelease(func() {
		k.w.p.held.remove(hd)
		if released != nil {
			released()
		}
		on()
	})
	c.held = &Held{Held: hd, injector: k.injector}
	return c.held, nil
}

// park makes a packet that may pass wait behind its flow's jobs. Without room it is dropped, for the cause that is returned: passing
// it would break the order.
func (k *classifier) park(i int, f *Flow) (why divertdrv.Cause) {
	p := &k.batch.Packets()[i]
	if !k.w.p.order.reserve() {
		k.counts.parkRefused.Add(1)
		p.Set(divertdrv.Drop, reason.DeferFull)
		return reason.DeferFull
	}
	hd, err := k.batch.Hold(i, 0, divertdrv.Pass)
	if err != nil {
		k.w.p.order.room.Add(1)
		k.counts.parkRefused.Add(1)
		p.Set(divertdrv.Drop, reason.HoldFull)
		return reason.HoldFull
	}
	f.pending.Add(1)
	k.counts.parked.Add(1)
	k.jobs = append(k.jobs, &job{flow: f, run: func() {
		if why, refused := f.refusal(); refused {
			_ = hd.Release(divertdrv.Drop, why)
			return
		}
		_ = k.injector.Release(hd, divertdrv.Pass, 0)
	}})
	return reason.Unmarked
}
