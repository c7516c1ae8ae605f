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
	source source
	absent bool
	lo, hi u128
	used   bool
}

func (k *known) find(s *source) *knownValue {
	for i := range k.values {
		if v := &k.values[i]; v.used && v.source == *s {
			return v
		}
	}
	return nil
}

func (k *known) set(v knownValue) {
	if old := k.find(&v.source); old != nil {
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
		k.set(knownValue{source: s.source, lo: lo, hi: hi, used: true})
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
	k.set(knownValue{source: s.source, absent: true, used: true})
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
		w := o.find(&v.source)
		if w == nil || v.absent != w.absent {
			*v = knownValue{}
			continue
		}
		v.lo = slices.MinFunc([]u128{v.lo, w.lo}, u128.cmp)
		v.hi = slices.MaxFunc([]u128{v.hi, w.hi}, u128.cmp)
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
	v := k.find(&s.source)
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
