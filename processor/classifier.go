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
	headers  *divertdrv.Headers // of the packet, read again when a callout was asked
	keys     filter.Keys        // of the packet; valid iff keyed
	keyed    bool
	jobs     []*job           // made since they were last submitted
	batch    *divertdrv.Batch // nil: the packet is in none
	now      int64            // the time of the packet
	ended    bool             // the verdict on the packet ended its flow
	follows  []follow         // who is to be told what becomes of the packet

	returned   int64 // when a callout last returned, or the batch was begun
	returnedAt int   // the packet, by its place in the batch, that was judged then; see calledAt

	verdict    Verdict    // of the sublayer that is asked
	candidates candidates // likewise
	trace      *tracer    // nil: nobody wants to know
}

// result is what became of a packet. (A struct of more than four fields is not returned in registers.)
type result struct {
	fate  Fate
	cause divertdrv.Cause // valid iff it was dropped
	layer Layer           // valid iff by is not nil
	by    *boundFilter    // who dropped it; nil: no filter did
}

func (r result) passes() bool { return r.fate == Passed }

// judge walks a packet through its layers and keeps its flow's state.
func (k *classifier) judge(i int, p *divertdrv.Packet, now int64) result {
	k.now, k.ended = now, false
	h := p.Headers()
	if h.Version == 0 {
		k.counts.undecoded.Add(1)
	}
	f, fresh, srcHigh := k.w.flows.find(p.Data, h, now)
	if f == nil {
		return k.classify(i, p, h, nil, 0)
	}
	state, flags := f.state, f.flags
	s := f.advance(p.Data, h, fresh, p.Addr.Outbound(), srcHigh)
	s = k.authorise(p, h, f, s, fresh)
	if why, refused := f.refusal(); refused && !s.has(stepAuth) {
		f.keep(state, flags, fresh)
		k.counts.refusedPackets.Add(1)
		return result{fate: Dropped, cause: why}
	}
	g := k.w.p.guard
	guarded := g != nil && h.Proto == wire.ProtoTCP
	if guarded {
		g.Lock(f.key)
	}
	r := k.classify(i, p, h, f, s)
	if guarded {
		g.Unlock(f.key)
	}
	if r.fate == Dropped && !k.ended {
		f.keep(state, flags, fresh)
	}
	if s.has(stepEnds) && r.passes() {
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
func (k *classifier) authorise(p *divertdrv.Packet, h *divertdrv.Headers, f *Flow, s steps, fresh bool) steps {
	if p.Addr.Layer() == divertdrv.NetworkForward || !forALE(h, p.Data) {
		return s
	}
	if f.policy != k.w.generation && !fresh && f.authorised() && f.state != flowClosed {
		s |= stepAuth | stepReauth
	}
	f.policy = k.w.generation
	return s
}

// classify walks the packet's layers until one blocks it.
func (k *classifier) classify(i int, p *divertdrv.Packet, h *divertdrv.Headers, f *Flow, s steps) result {
	k.walk.of(p, h, f, s)
	return k.walkFrom(0, i, p, f, s)
}

// walkFrom is the rest of a walk.
func (k *classifier) walkFrom(first, i int, p *divertdrv.Packet, f *Flow, s steps) result {
	k.c = Classification{Packet: p, Flow: f, k: k, index: i}
	k.headers, k.keyed = p.Headers(), false
	var d decision
	for _, layer := range k.walk.layers[first:k.walk.n] {
		k.at(layer, s, &d)
		switch {
		case k.c.held != nil:
			return result{fate: HeldBack}
		case d.action == Block && k.mayBlock(layer, &d):
			return k.blocked(layer, p, f, s, &d)
		case s.has(stepReauth) && f != nil && layer == f.authLayer():
			f.refused.Store(0)
		}
	}
	return result{fate: Passed}
}

// at classifies the packet at one layer, and says in d what was decided.
func (k *classifier) at(layer Layer, s steps, d *decision) {
	*d = decision{}
	sublayers := k.policy.layers[layer]
	if len(sublayers) == 0 && k.trace == nil {
		return
	}
	k.c.Layer, k.c.Reauth, k.c.Cause = layer, s.has(stepReauth) && (layer == ALEAuthConnect || layer == ALEAuthRecvAccept), 0
	if layer.IsDiscard() {
		k.c.Cause = reason.NoListener
	}
	k.decide(sublayers, d)
}

// blocked says what a block means for the flow, and shows the packet at the discard layer.
func (k *classifier) blocked(layer Layer, p *divertdrv.Packet, f *Flow, s steps, d *decision) result {
	k.filters[d.by.index].blocked.Add(1)
	switch {
	case f == nil:
	case layer == ALEFlowEstablished:
		k.ended = k.abort(f, d.cause)
	case s.has(stepAuth) && layer == f.authLayer():
		k.ended = !s.has(stepReauth) || s.has(stepPended)
		f.refuse(d.cause, k.ended)
		if k.ended {
			k.w.flows.end(f)
		}
	}
	if !d.absorbed && !layer.IsDiscard() {
		k.discard(layer, p, f, d.cause)
	}
	return result{fate: Dropped, cause: d.cause, by: d.by, layer: layer}
}

// discard shows a packet that was blocked at the layer's discard layer.
func (k *classifier) discard(layer Layer, p *divertdrv.Packet, f *Flow, why divertdrv.Cause) {
	sublayers := k.policy.layers[layer.Discard()]
	if len(sublayers) == 0 {
		return
	}
	k.c = Classification{Packet: p, Flow: f, k: k, Layer: layer.Discard(), Cause: why, index: inNoBatch}
	var d decision // too late
	k.decide(sublayers, &d)
}

// inNoBatch is the index of a packet that cannot be held any more.
const inNoBatch = -1
