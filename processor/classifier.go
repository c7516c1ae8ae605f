package processor

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

// classifier judges packets, one at a time: a worker's, or one made for a packet that was pended. Whoever uses it holds w.mu.
type classifier struct {
	w        *worker
	injector *inject.Injector
	counts   *counters
	policy   *Policy
	filters  []filterCounters // of policy, by boundFilter.index
	bound    []binding        // likewise: their callouts
	times    []*calloutTimes  // likewise; one for all filters that name a callout, nil where none is named
	scope    inject.Scope
	walk     walk
	c        Classification
	keys     filter.Keys // of the packet; valid iff keyed
	keyed    bool
	jobs     []*job           // made since they were last submitted
	batch    *divertdrv.Batch // nil: the packet is in none
	now      int64            // the time of the packet
	follows  []follow         // who is to be told what becomes of the packet

	candidates candidates // of the sublayer that is asked
	trace      *tracer    // nil: nobody wants to know
}

// result is what became of a packet.
type result struct {
	pass  bool
	cause divertdrv.Cause // valid iff not pass
	held  bool            // it has its own way
	ended bool            // the verdict ended the flow
	by    *boundFilter    // who dropped it; nil: no filter did
	layer Layer           // valid iff by is not nil
}

// judge walks a packet through its layers and keeps its flow's state.
func (k *classifier) judge(i int, p *divertdrv.Packet, now int64) result {
	k.now = now
	h := p.Headers()
	if h.Version == 0 {
		k.counts.undecoded.Add(1)
	}
	f, fresh, srcHigh := k.w.flows.find(p.Data, h, now)
	if f == nil {
		return k.classify(i, p, nil, steps{})
	}
	state, flags := f.state, f.flags
	s := f.advance(p.Data, h, fresh, p.Addr.Outbound(), srcHigh)
	k.authorise(p, f, &s, fresh)
	if why, refused := f.refusal(); refused && !s.auth {
		f.keep(state, flags, fresh)
		k.counts.refusedPackets.Add(1)
		return result{cause: why}
	}
	g := k.w.p.guard
	guarded := g != nil && h.Proto == wire.ProtoTCP
	if guarded {
		g.Lock(f.key)
	}
	r := k.classify(i, p, f, s)
	if guarded {
		g.Unlock(f.key)
	}
	if !r.pass && !r.held && !r.ended {
		f.keep(state, flags, fresh)
	}
	if s.ends && r.pass {
		k.w.flows.end(f)
	}
	return r
}

// keep has the flow be what it was before a packet that did not go on: it changed nothing.
func (f *Flow) keep(state flowState, flags flowFlags, fresh bool) {
	if !fresh {
		f.state, f.flags = state, flags
	}
}

// authorise says that a flow which an earlier policy authorised visits its layer again. Forwarded flows are not this host's; what
// ALE is not shown leaves the question to the next packet.
func (k *classifier) authorise(p *divertdrv.Packet, f *Flow, s *steps, fresh bool) {
	if p.Addr.Layer() == divertdrv.NetworkForward || !forALE(p.Headers(), p.Data) {
		return
	}
	if f.policy != k.w.generation && !fresh && f.authorised() && f.state != flowClosed {
		s.auth, s.reauth = true, true
	}
	f.policy = k.w.generation
}

// classify walks the packet's layers until one blocks it.
func (k *classifier) classify(i int, p *divertdrv.Packet, f *Flow, s steps) result {
	k.walk.of(p, p.Headers(), f, s)
	return k.walkFrom(0, i, p, f, s)
}

// walkFrom is the rest of a walk.
func (k *classifier) walkFrom(first, i int, p *divertdrv.Packet, f *Flow, s steps) result {
	k.c = Classification{Packet: p, Flow: f, k: k, index: i}
	k.keyed = false
	for _, layer := range k.walk.layers[first:k.walk.n] {
		d := k.at(layer, s)
		switch {
		case k.c.held != nil:
			return result{held: true}
		case d.action == Block && k.mayBlock(layer, d):
			return k.blocked(layer, p, f, s, d)
		case s.reauth && f != nil && layer == f.authLayer():
			f.refused.Store(0)
		}
	}
	return result{pass: true}
}

// at classifies the packet at one layer.
func (k *classifier) at(layer Layer, s steps) (d decision) {
	sublayers := k.policy.layers[layer]
	if len(sublayers) == 0 && k.trace == nil {
		return d
	}
	k.c.Layer, k.c.Reauth, k.c.Cause = layer, s.reauth && (layer == ALEAuthConnect || layer == ALEAuthRecvAccept), 0
	if layer.IsDiscard() {
		k.c.Cause = reason.NoListener
	}
	return k.decide(sublayers)
}

// blocked says what a block means for the flow, and shows the packet at the discard layer.
func (k *classifier) blocked(layer Layer, p *divertdrv.Packet, f *Flow, s steps, d decision) result {
	k.filters[d.by.index].blocked.Add(1)
	r := result{cause: d.cause, by: d.by, layer: layer}
	switch {
	case f == nil:
	case layer == ALEFlowEstablished:
		r.ended = k.abort(f, d.cause)
	case s.auth && layer == f.authLayer():
		r.ended = !s.reauth || s.pended
		f.refuse(d.cause, r.ended)
		if r.ended {
			k.w.flows.end(f)
		}
	}
	if !d.absorbed && !layer.IsDiscard() {
		k.discard(layer, p, f, d.cause)
	}
	return r
}

// discard shows a packet that was blocked at the layer's discard layer. It is too late to decide anything there.
func (k *classifier) discard(layer Layer, p *divertdrv.Packet, f *Flow, why divertdrv.Cause) {
	sublayers := k.policy.layers[layer.Discard()]
	if len(sublayers) == 0 {
		return
	}
	k.c = Classification{Packet: p, Flow: f, k: k, Layer: layer.Discard(), Cause: why, index: inNoBatch}
	k.decide(sublayers)
}

// inNoBatch is the index of a packet that cannot be held any more.
const inNoBatch = -1
