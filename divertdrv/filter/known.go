package filter

import "slices"

// known is what is so for all packets that come to a place in a program.
type known struct {
	reached     bool
	ones, zeros uint32 // facts that hold, and that do not
	values      [knownMost]knownValue
}

// knownMost is of how many fields the values are kept, the latest: the others may be asked again.
const knownMost = 4

// knownValue is that a field lies within lo to hi, or that the packet has no such field.
type knownValue struct {
	variable uint16 // of the steps that load it; 0: nothing is kept here
	absent   bool
	lo, hi   u128
}

func (k *known) find(variable uint16) *knownValue {
	for i := range k.values {
		if v := &k.values[i]; v.variable == variable {
			return v
		}
	}
	return nil
}

func (k *known) set(v knownValue) {
	if old := k.find(v.variable); old != nil {
		*old = v
		return
	}
	copy(k.values[1:], k.values[:])
	k.values[0] = v
}

// within learns that the value of s lies within lo to hi.
func (g *graph) within(k *known, s *step, lo, hi u128) {
	switch {
	case s.class != classFact:
		k.ones |= s.need
		k.set(knownValue{variable: s.variable, lo: lo, hi: hi})
	case hi == u128{}:
		k.zeros |= s.bits
	case lo != u128{}:
		k.ones |= s.bits
	}
	g.conclude(k)
}

// without learns that packets lack the field of s.
func (g *graph) without(k *known, s *step) {
	if !s.optional() {
		k.zeros |= s.need
	}
	k.set(knownValue{variable: s.variable, absent: true})
	g.conclude(k)
}

// Facts of which at most one holds.
var exclusive = [...]uint32{factTCP | factUDP | factICMP | factICMPv6, factIPv4 | factIPv6, factIPv4 | factICMPv6, factIPv6 | factICMP}

// conclude adds the facts that follow from others.
func (g *graph) conclude(k *known) {
	for range 2 { // the family can follow from the other one, and then rules out a transport
		for _, group := range exclusive {
			if group&k.ones != 0 {
				k.zeros |= group &^ k.ones
			}
		}
		if g.compat22 && onEndpoints.has(g.layer) {
			return // no family there
		}
		switch family := uint32(factIPv4 | factIPv6); k.zeros & family {
		case factIPv4, factIPv6:
			k.ones |= family &^ k.zeros
		}
	}
}

// meet keeps of k what is also so by o.
func (k *known) meet(o *known) {
	if !k.reached {
		*k = *o
		k.reached = true
		return
	}
	k.ones &= o.ones
	k.zeros &= o.zeros
	for i := range k.values {
		v := &k.values[i]
		if v.variable == 0 {
			continue
		}
		w := o.find(v.variable)
		if w == nil || v.absent != w.absent {
			*v = knownValue{}
			continue
		}
		if w.lo.less(v.lo) {
			v.lo = w.lo
		}
		if v.hi.less(w.hi) {
			v.hi = w.hi
		}
	}
}

// decide returns the edge that s takes for all packets of k, if there is one.
func (k *known) decide(s *step) (edge uint16, decided bool) {
	if s.class == classFact {
		switch {
		case k.ones&s.bits != 0:
			return s.pieces[len(s.pieces)-1].edge, true
		case k.zeros&s.bits != 0:
			return s.pieces[0].edge, true
		}
		return 0, false
	}
	v := k.find(s.variable)
	switch {
	case k.zeros&s.need != 0, v != nil && v.absent:
		return s.none, true
	case v != nil:
		p := s.pieceOf(v.lo)
		return p.edge, !p.upper.less(v.hi)
	}
	present := k.ones&s.need == s.need && !s.optional()
	return s.pieces[0].edge, present && len(s.pieces) == 1
}

// pieceOf returns the piece that a value is in.
func (s *step) pieceOf(v u128) piece {
	at, _ := slices.BinarySearchFunc(s.pieces, v, func(p piece, v u128) int { return p.upper.cmp(v) })
	return s.pieces[at]
}
