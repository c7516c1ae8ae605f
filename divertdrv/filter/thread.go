package filter

// threadMost bounds the work of thread on programs of many edges that meet again and again: so many tests are looked at behind
// edges, the others are left to be asked.
const threadMost = 20_000

// thread follows what is known of the packets on each way through the program, and leads each edge past the tests whose answer
// is known there: the guard that was asked before, the address that lies in another range.
func (g *graph) thread() {
	clear(g.known)
	t := threader{g, threadMost}
	g.known[0].reached = true
	for i := range g.steps {
		if k := g.known[i]; k.reached {
			t.step(&g.steps[i], &k)
		}
	}
}

type threader struct {
	*graph
	left int // tests that may still be looked at
}

// step leads the edges of s onwards.
func (t *threader) step(s *step, k *known) {
	v := k.find(s.variable)
	if v != nil && v.absent || k.zeros&s.need != 0 { // only where left ran out
		t.meet(s.none, k)
		return
	}
	lo, hi := u128{}, maxU128
	if v != nil {
		lo, hi = v.lo, v.hi
	}
	var from u128
	var pieces []piece
	for _, p := range s.pieces {
		first, last := from, p.upper
		if p.upper != maxU128 {
			from = p.upper.next()
		}
		if first.less(lo) {
			first = lo
		}
		if hi.less(last) {
			last = hi
		}
		if !last.less(first) {
			p.edge = t.value(s, k, p.edge, first, last)
			pieces = appendPiece(pieces, p)
		} else if n := len(pieces); n > 0 {
			pieces[n-1].upper = p.upper // no value comes there
		}
	}
	s.pieces = pieces
	if s.none = t.absence(s, k, v != nil); s.none == never {
		s.none = pieces[0].edge
	}
}

// value leads an edge on that is taken for values of s.
func (t *threader) value(s *step, k *known, edge uint16, lo, hi u128) uint16 {
	there := *k
	t.within(&there, s, lo, hi)
	edge = t.follow(edge, &there)
	t.meet(edge, &there)
	return edge
}

// never is the edge of packets that lack a field where all have it.
const never = unreached

// absence leads the edge on that is taken without the field of s.
func (t *threader) absence(s *step, k *known, present bool) uint16 {
	if present || !s.optional() && k.ones&s.need == s.need {
		return never
	}
	there := *k
	t.without(&there, s)
	edge := t.follow(s.none, &there)
	t.meet(edge, &there)
	return edge
}

// follow leads an edge past the steps that k decides.
func (t *threader) follow(edge uint16, k *known) uint16 {
	for edge < accept && t.left > 0 {
		t.left--
		next, decided := k.decide(&t.steps[edge])
		if !decided {
			break
		}
		edge = next
	}
	return edge
}

func (t *threader) meet(edge uint16, k *known) {
	if edge < accept {
		t.known[edge].meet(k)
	}
}
