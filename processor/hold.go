package processor

import (
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
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
//
// Release says what becomes of it; it goes when the packets of its flow that were held or deferred before it have gone, so that
// the order within the flow is kept whoever is released first.
type Held struct {
	*divertdrv.Held
	injector  *inject.Injector
	byDefault divertdrv.Mark
	flow      *Flow // nil: it has no place in a flow's order
	timer     clock.Timer
	decided   atomic.Bool
	mark      divertdrv.Mark // valid iff decided, as is why
	why       divertdrv.Cause
	goes      atomic.Bool               // it may go as soon as it is its turn
	told      func(mark divertdrv.Mark) // nil, or told of the decision before anything follows from it
}

// Release completes the packet: exactly once. ErrReleased: it was released before, by whomever, or its deadline has passed. One
// that passes and grew past the MTU is treated as the injector's TooBig says. What the driver says to it is in the handle's Stats.
func (h *Held) Release(m divertdrv.Mark, why divertdrv.Cause) error {
	if h.decided.Swap(true) {
		return divertdrv.ErrReleased
	}
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mark, h.why = m&divertdrv.Pass, why
	if h.told != nil {
		h.told(h.mark)
	}
	if h.flow == nil {
		h.finish()
		return nil
	}
	h.flow.queue.release(h.flow, &h.goes)
	return nil
}

// finish carries the decision out.
func (h *Held) finish() { _ = h.injector.Release(h.Held, h.mark, h.why) }

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

// holds takes the packet of c out of the batch, with a place in its flow's order. told, if not nil, is told of what was decided
// for it, by whomever, before the packets behind it go on.
func (k *classifier) holds(c *Classification, deadline time.Duration, byDefault divertdrv.Mark, told func(divertdrv.Mark)) (*Held, error) {
	if k.batch == nil || c.index == inNoBatch {
		return nil, ErrCannotPend
	}
	p := k.w.p
	ordered := c.Flow != nil && p.order.reserve()
	taken, err := k.batch.Hold(c.index, 0, byDefault) // the deadline is kept here, for the order's sake
	if err != nil {
		if ordered {
			p.order.room.Add(1)
		}
		return nil, err
	}
	k.counts.heldPackets.Add(1)
	h := &Held{Held: taken, injector: k.injector, byDefault: byDefault & divertdrv.Pass, told: told}
	p.held.add(h)
	if ordered {
		h.flow = c.Flow
		h.flow.pending.Add(1)
		k.jobs = append(k.jobs, &job{flow: h.flow, wait: &h.goes, run: h.finish})
	}
	if deadline > 0 {
		h.timer = p.clock.AfterFunc(deadline, func() { _ = h.Release(h.byDefault, reason.Expired) })
	}
	taken.AfterRelease(func() {
		p.held.remove(h)
		_ = h.Release(h.byDefault, reason.Abandoned) // if the handle was closed over it: what waits behind it goes on
	})
	c.held = h
	return h, nil
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
