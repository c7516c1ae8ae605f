package processor

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
)

// decide asks the sublayers of a layer, the heaviest first, and arbitrates. Decisions and verdicts are written to where they stay:
// as results they would be copied through memory, field by field, and the reading of each copy would wait for the writing.
func (k *classifier) decide(sublayers []boundSublayer, d *decision) {
	if k.trace == nil {
		k.arbitrate(sublayers, d)
		return
	}
	k.trace.layer(k)
	k.arbitrate(sublayers, d)
	k.trace.decided(d)
}

func (k *classifier) arbitrate(sublayers []boundSublayer, d *decision) {
	for i := range sublayers {
		v := &k.verdict
		f := k.ask(&sublayers[i], d, v)
		if k.c.held != nil {
			return
		}
		if f == nil {
			continue
		}
		before := d.veto
		if d.combine(yield{action: v.Action, hard: v.Hard, callout: k.bound[f.index].callout != nil}) {
			d.by, d.cause, d.absorbed, d.reason = f, v.Cause, v.Absorb, v.Reason
		}
		if d.veto && !before {
			k.filters[f.index].vetoes.Add(1)
		}
	}
}

// ask returns the first filter that permits or blocks, and in v how; nil if none does.
func (k *classifier) ask(s *boundSublayer, d *decision, v *Verdict) *boundFilter {
	if k.trace != nil {
		k.trace.decided(d)
		k.trace.sublayer(s.name, d)
	}
	if s.index == nil || k.trace != nil { // who explains tells of all filters
		for _, f := range s.filters {
			if k.try(f, d, v) {
				return f
			}
		}
		return nil
	}
	k.collect(s.index)
	for {
		i, more := k.candidates.next()
		if !more {
			return nil
		}
		if k.try(s.filters[i], d, v) {
			return s.filters[i]
		}
		if !k.keyed { // a callout changed the packet: other filters may match it now
			k.collect(s.index)
			k.candidates.skip(i)
		}
	}
}

func (k *classifier) collect(ix *index) {
	if !k.keyed {
		k.keys, k.keyed = filter.KeysOf(k.c.Packet.Data, k.headers), true
	}
	ix.collect(&k.keys, &k.candidates)
}

// try asks one filter. If it permits or blocks, or its callout holds the packet, it returns true, and in v how.
func (k *classifier) try(f *boundFilter, d *decision, v *Verdict) bool {
	p := k.c.Packet
	var told *FilterExplanation
	if k.trace != nil {
		told = k.trace.asked(k, f)
	}
	if f.When != nil && !f.When.Match(p.Addr, p.Data, k.headers) {
		return false
	}
	if f.Sets != nil && !f.Sets.match(p, k.headers) {
		return false
	}
	n := &k.filters[f.index]
	n.matched.Add(1)
	k.says(f, d, v)
	if told != nil {
		told.Matches, told.Verdict = true, v.describe()
	}
	if v.Action == Permit && k.c.held == nil {
		n.permitted.Add(1)
	}
	return v.Action != Continue || k.c.held != nil
}

// says puts into v what a filter that applies says.
func (k *classifier) says(f *boundFilter, d *decision, v *Verdict) {
	switch f.Action {
	case ActionPermit:
		*v = Verdict{Action: Permit, Hard: f.Hard}
	case ActionBlock:
		*v = Verdict{Action: Block, Hard: true, Cause: reason.Filter, Reason: f.Reason}
	default:
		k.consult(f, d, v)
	}
}

// consult asks a callout, holds its answer to the contract of its type, and puts it into v.
func (k *classifier) consult(f *boundFilter, d *decision, v *Verdict) {
	b := &k.bound[f.index]
	switch {
	case b.callout == nil:
		*v = f.unregistered()
		return
	case b.conditional && !k.hasContext(b.callout):
		*v = Verdict{}
		return
	}
	k.c.Filter, k.c.Rights = f.Name, RightActionWrite
	if d.locked {
		k.c.Rights = 0
	}
	if !k.timed(f, b.callout, v) {
		k.counts.panics.Add(1)
		*v = Verdict{Action: Block, Hard: true, Cause: reason.CalloutPanic}
	}
	if v.Follow != 0 && b.follower != nil {
		k.follows = append(k.follows, follow{b.follower, v.Follow})
	}
	switch {
	case f.Action == ActionCalloutInspection:
		// It never decides: a permit is ignored as real callouts return one, a block is a breach and ignored too.
		if v.Action == Block {
			k.counts.breaches.Add(1)
		}
		*v = Verdict{}
		return
	case f.Action == ActionCalloutTerminating && v.Action == Continue && !d.locked && k.c.held == nil:
		// It promised to decide. Undocumented in WFP; failing closed is the safe reading.
		k.counts.breaches.Add(1)
		*v = Verdict{Action: Block}
	}
	if v.Action == Block {
		v.Cause = blockCause(*v)
	}
	v.Hard = v.Hard || v.Action == Permit && f.Hard
}

// unregistered is what a filter says while its callout is not registered.
func (f *boundFilter) unregistered() Verdict {
	switch {
	case f.Action == ActionCalloutInspection:
		return Verdict{}
	case f.PermitIfUnregistered:
		return Verdict{Action: Permit, Hard: f.Hard}
	}
	return Verdict{Action: Block, Hard: true, Cause: reason.CalloutMissing, Reason: f.Reason}
}

// hasContext says whether the callout has a context for the packet's flow at the layer.
func (k *classifier) hasContext(c Callout) bool {
	if k.c.Flow == nil {
		return false
	}
	_, ok := k.c.Flow.Context(k.c.Layer, c)
	return ok
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

// call runs the callout and puts its answer into v. A panic in it is contained, but not one for misuse of the batch: packets would be lost in silence.
func (k *classifier) call(c Callout, v *Verdict) (ok bool) {
	k.c.open = true
	k.scope.Enter(k.c.Layer.String(), c.Name(), k.c.Layer.Transport())
	defer func() {
		k.scope.Leave()
		k.c.open = false
		if !ok {
			if m, misuse := recover().(divertdrv.Misuse); misuse {
				panic(m)
			}
		}
		k.refresh()
	}()
	*v = c.Classify(&k.c)
	return true
}

// refresh has the headers read again if the callout may have changed them since it last looked.
func (k *classifier) refresh() {
	if k.c.held != nil {
		return
	}
	if k.c.Packet.Changed() {
		k.c.Packet.SetDirty()
		k.keyed = false
	}
	k.headers = k.c.Packet.Headers()
}
