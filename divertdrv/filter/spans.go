package filter

import "strings"

// span is the values from lo to hi, both included, counted from the least of the field's domain.
type span struct{ lo, hi u128 }

// spans is a set of values: spans in order, which do not touch.
type spans []span

// and returns the values that both sets have.
func (s spans) and(o spans) (both spans) {
	for i, j := 0, 0; i < len(s) && j < len(o); {
		lo, hi := s[i].lo, s[i].hi
		if lo.less(o[j].lo) {
			lo = o[j].lo
		}
		if o[j].hi.less(hi) {
			hi = o[j].hi
		}
		if !hi.less(lo) {
			both = append(both, span{lo, hi})
		}
		if s[i].hi.less(o[j].hi) {
			i++
		} else {
			j++
		}
	}
	return both
}

// or returns the values that either set has.
func (s spans) or(o spans) (any spans) {
	for len(s) > 0 || len(o) > 0 {
		if len(s) == 0 || len(o) > 0 && o[0].lo.less(s[0].lo) {
			s, o = o, s
		}
		next := s[0]
		s = s[1:]
		last := len(any) - 1
		switch {
		case last < 0 || any[last].hi != maxU128 && any[last].hi.next().less(next.lo):
			any = append(any, next)
		case any[last].hi.less(next.hi):
			any[last].hi = next.hi
		}
	}
	return any
}

// split returns the values for which a comparison holds, and those for which not, over the whole domain of its field.
func (c *comparison) split() (holds, not spans) {
	const yes, no = 1, 0
	var from u128
	for _, p := range c.decision(yes, no) {
		if p.edge == yes {
			holds = append(holds, span{from, p.upper})
		} else {
			not = append(not, span{from, p.upper})
		}
		if p.upper != maxU128 {
			from = p.upper.next()
		}
	}
	return holds, not
}

// spansOf is the values of an interval of a field.
func spansOf(id fieldID, in interval) spans {
	lo, last := id.domain()
	s := span{hi: last}
	if in.lo.cmp(lo) > 0 {
		s.lo, _ = ordinal(in.lo, lo)
	}
	if hi, _ := ordinal(in.hi, lo); hi.less(last) {
		s.hi = hi
	}
	return spans{s}
}

// number returns the value that stands at a place of the field's domain.
func (id fieldID) number(at u128) number {
	lo, _ := id.domain()
	switch {
	case !lo.neg:
		return number{mag: at.plus(lo.mag)}
	case at.less(lo.mag):
		return number{neg: true, mag: lo.mag.minus(at)}
	}
	return number{mag: at.minus(lo.mag)}
}

const spansShown = 3

// describe writes a set as "80, 443 or 8000 to 8100", "" if it is empty or takes too many words.
func (s spans) describe(id fieldID, spell func(number) string) string {
	if len(s) > spansShown {
		return ""
	}
	var parts []string
	for _, r := range s {
		text := spell(id.number(r.lo))
		if r.lo != r.hi {
			text += " to " + spell(id.number(r.hi))
		}
		parts = append(parts, text)
	}
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " or " + parts[n-1]
	}
	return strings.Join(parts, "")
}
