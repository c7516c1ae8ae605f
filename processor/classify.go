package processor

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// walkOf returns the layers that a packet visits. What cannot be decoded is shown at the packet layers only.
func walkOf(a *divertdrv.Address, h *wire.Headers) []Layer {
	whole := h.Version != 0 && !h.Fragment
	switch {
	case a.Layer() == divertdrv.NetworkForward:
		return walkForward
	case a.Outbound() && whole:
		return walkOutbound
	case a.Outbound():
		return walkOutboundPart
	case whole:
		return walkInbound
	default:
		return walkInboundPart
	}
}

// classify walks the packet's layers until one blocks it.
func (w *worker) classify(i int, p *divertdrv.Packet, flow *Flow) (cause divertdrv.Cause, pass bool) {
	w.c = Classification{Packet: p, Flow: flow, w: w, index: i}
	for _, layer := range walkOf(p.Addr, p.Headers()) {
		sublayers := w.policy.layers[layer]
		if len(sublayers) == 0 {
			continue
		}
		w.c.Layer = layer
		d := w.decide(sublayers)
		if w.c.held != nil {
			return 0, false
		}
		if d.action == Block {
			w.filters[d.by.index].blocked.Add(1)
			return d.cause, false
		}
	}
	return 0, true
}

// decide asks the sublayers of a layer, the heaviest first, and arbitrates.
func (w *worker) decide(sublayers []boundSublayer) (d decision) {
	for i := range sublayers {
		f, v := w.ask(sublayers[i].filters, &d)
		if w.c.held != nil {
			return d
		}
		if f == nil {
			continue
		}
		before := d.veto
		if d.combine(yield{action: v.Action, hard: v.Hard, callout: f.Action.callsOut()}) {
			d.by, d.cause = f, v.Cause
		}
		if d.veto && !before {
			w.filters[f.index].vetoes.Add(1)
		}
	}
	return d
}

// ask returns the first filter that permits or blocks, and how; nil if none does.
func (w *worker) ask(filters []*boundFilter, d *decision) (*boundFilter, Verdict) {
	p := w.c.Packet
	for _, f := range filters {
		if f.When != nil && !f.When.Match(p.Addr, p.Data, p.Headers()) {
			continue
		}
		n := &w.filters[f.index]
		n.matched.Add(1)
		v := w.verdict(f, d)
		if w.c.held != nil {
			return f, v
		}
		switch v.Action {
		case Permit:
			n.permitted.Add(1)
			return f, v
		case Block:
			return f, v
		}
	}
	return nil, Verdict{}
}

// verdict is what a filter that applies says.
func (w *worker) verdict(f *boundFilter, d *decision) Verdict {
	switch f.Action {
	case ActionPermit:
		return Verdict{Action: Permit, Hard: f.Hard}
	case ActionBlock:
		return Verdict{Action: Block, Hard: true, Cause: reason.Filter}
	default:
		return w.consult(f, d)
	}
}

// consult asks a callout and holds its answer to the contract of its type.
func (w *worker) consult(f *boundFilter, d *decision) Verdict {
	w.c.Filter, w.c.Rights = f.Name, RightActionWrite
	if d.locked {
		w.c.Rights = 0
	}
	v, ok := w.call(f)
	if !ok {
		w.counts.panics.Add(1)
		v = Verdict{Action: Block, Hard: true, Cause: reason.CalloutPanic}
	}
	switch {
	case f.Action == ActionCalloutInspection:
		// It never decides: a permit is ignored as real callouts return one, a block is a breach and ignored too.
		if v.Action == Block {
			w.counts.breaches.Add(1)
		}
		return Verdict{}
	case f.Action == ActionCalloutTerminating && v.Action == Continue && !d.locked && w.c.held == nil:
		// It promised to decide. Undocumented in WFP; failing closed is the safe reading.
		w.counts.breaches.Add(1)
		v = Verdict{Action: Block}
	}
	if v.Action == Block {
		v.Cause = blockCause(v)
	}
	v.Hard = v.Hard || v.Action == Permit && f.Hard
	return v
}

func blockCause(v Verdict) divertdrv.Cause {
	switch {
	case v.Cause != reason.Unmarked:
		return v.Cause
	case v.Absorb:
		return reason.Absorbed
	default:
		return reason.Callout
	}
}

// call runs the callout. A panic in it is contained, but not one for misuse of the batch: packets would be lost in silence.
func (w *worker) call(f *boundFilter) (v Verdict, ok bool) {
	w.c.open = true
	w.scope.Enter(w.c.Layer.String(), f.Callout.Name(), w.c.Layer.Transport())
	defer func() {
		w.scope.Leave()
		w.c.open = false
		if ok {
			w.refresh()
			return
		}
		if r := recover(); r != nil {
			if m, misuse := r.(divertdrv.Misuse); misuse {
				panic(m)
			}
		}
	}()
	return f.Callout.Classify(&w.c), true
}

// refresh has the headers read again if the callout may have changed them since it last looked.
func (w *worker) refresh() {
	if w.c.held == nil && w.c.Packet.Changed() {
		w.c.Packet.SetDirty()
	}
}
