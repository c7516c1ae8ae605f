package processor

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/inject/dpc"
)

// ErrCannotPend: only the first packet of a flow can be pended, once, at an ALE_AUTH layer (STATUS_FWP_CANNOT_PEND); and what is
// in no batch any more cannot be held.
var ErrCannotPend = errors.New("the packet cannot be pended here, or was before (STATUS_FWP_CANNOT_PEND)")

// Pended is the first packet of a flow, whose authorisation is still to be decided.
type Pended struct {
	hd     *Held
	w      *worker
	flow   *Flow
	asked  Layer
	called atomic.Bool
	dpc    *dpc.DPC
}

func (k *classifier) pends(c *Classification, deadline time.Duration, byDefault divertdrv.Mark) (*Pended, error) {
	f := c.Flow
	if f == nil || c.Reauth || c.Layer != f.authLayer() || f.flags&flowPended != 0 {
		return nil, ErrCannotPend
	}
	p := &Pended{w: k.w, flow: f, asked: c.Layer}
	hd, err := k.holds(c, deadline, byDefault, func(m divertdrv.Mark) {
		if !p.called.Swap(true) && m == divertdrv.Drop { // by its deadline, or because the handle is closed
			f.refuse(reason.Expired, true)
		}
	})
	if err != nil {
		return nil, err
	}
	f.flags |= flowPended
	k.counts.pended.Add(1)
	p.hd = hd
	p.dpc = dpc.New(func(_, _ any) { p.reauthorise() })
	p.dpc.SetImportance(dpc.MediumHigh)
	p.dpc.SetTarget(f.queue.number)
	return p, nil
}

// Complete has the packet classified again at the layer where it was pended, with Reauth set, and at those behind it; the verdict
// decides on the packet and, by it, on the flow (FwpsCompleteOperation0). It does not wait for that: a DPC on the flow's queue
// does it. ErrReleased: it was completed before, or its deadline has passed.
func (p *Pended) Complete() error {
	if p.called.Swap(true) {
		return divertdrv.ErrReleased
	}
	p.w.p.order.pool.Queue(p.dpc, nil, nil)
	return nil
}

// Packet is the packet that waits; it may be changed until Complete.
func (p *Pended) Packet() *divertdrv.Packet { return &p.hd.Held.Packet }

// reauthorise walks the packet through the rest of its layers by the policy in force.
func (p *Pended) reauthorise() {
	w := p.w
	w.mu.Lock()
	k := w.classifier
	k.batch, k.jobs, k.follows, k.now = nil, nil, nil, w.time()
	pkt := p.Packet()
	k.walk.of(pkt, pkt.Headers(), p.flow, stepAuth.with(stepEstablished, p.flow.state == flowOpen))
	first := 0
	for k.walk.layers[first] != p.asked {
		first++
	}
	r := k.walkFrom(first, inNoBatch, pkt, p.flow, stepAuth|stepReauth|stepPended)
	k.tell(pkt, r)
	w.mu.Unlock()
	if r.passes() {
		_ = p.hd.Release(divertdrv.Pass, reason.Unmarked)
	} else {
		_ = p.hd.Release(divertdrv.Drop, r.cause)
	}
	w.p.order.submit(k.jobs)
}
