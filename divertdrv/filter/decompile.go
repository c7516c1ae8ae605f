package filter

import "slices"

// decompileSteps bounds the search for a text. A program that was compiled from a text takes a few for each test; only objects
// that nobody's compiler wrote take more.
const decompileSteps = 1 << 18

// A decompiler finds the text that given tests are compiled from. A text (a ? b : c), of which "and" and "or" are special cases,
// compiles to the tests of a, then those of b, then those of c; those of a lead on to the entries of b and c only, those of b
// and c to where the whole does. So a run of tests whose edges have at most two ends is cut into three such runs, until
// single tests are left.
type decompiler struct {
	tests []test
	exits [][][]uint16 // by first test and length: where the edges of a run end, if there are at most two such places
	known map[run]*phrase
	plain map[run]*phrase // of these, those whose answers are not turned round as a whole
	steps int
}

// run is the tests from..to-1, which are entered at entry, and whose edges lead to each other, to succ or to fail. Where entry
// is succ or fail, none of the tests is ever asked.
type run struct{ from, to, succ, fail, entry uint16 }

// decompile returns a phrase that compiles to the tests, nil if there is none.
func decompile(tests []test) *phrase {
	if len(tests) == 1 && tests[0].field == fZero { // what flatten makes of a filter that is decided
		if tests[0].succ == accept {
			return constantPhrase(phraseTrue)
		}
		return constantPhrase(phraseFalse)
	}
	d := &decompiler{tests: tests, exits: make([][][]uint16, len(tests)), known: map[run]*phrase{}, plain: map[run]*phrase{}}
	return d.phrase(run{0, uint16(len(tests)), accept, reject, 0})
}

// leave returns where the edges of the tests from..to-1 end, in order; nil if that is more than two places.
func (d *decompiler) leave(from, to uint16) []uint16 {
	if d.exits[from] == nil {
		var ends []uint16
		for i := int(from); i < len(d.tests); i++ {
			ends = without(ends, uint16(i))
			ends = with(with(ends, d.tests[i].succ), d.tests[i].fail)
			var few []uint16
			if len(ends) <= 2 {
				few = slices.Clone(ends)
			}
			d.exits[from] = append(d.exits[from], few)
		}
	}
	return d.exits[from][to-from-1]
}

func with(sorted []uint16, end uint16) []uint16 {
	if at, found := slices.BinarySearch(sorted, end); !found {
		return slices.Insert(sorted, at, end)
	}
	return sorted
}

func without(sorted []uint16, end uint16) []uint16 {
	if len(sorted) > 0 && sorted[0] == end { // edges lead forward, so no end is before it
		return sorted[1:]
	}
	return sorted
}

// phrase finds a text for a run, nil if there is none or the steps are used up.
func (d *decompiler) phrase(r run) *phrase {
	p, done := d.known[r]
	if !done {
		p = d.straight(r)
		if r.from < r.to && r.succ != r.fail {
			turned := d.straight(run{r.from, r.to, r.fail, r.succ, r.entry})
			p = shortest(p, ternary(turned, constantPhrase(phraseFalse), constantPhrase(phraseTrue)))
		}
		d.known[r] = p
	}
	return p
}

// straight finds a text that does not end in "? false : true".
func (d *decompiler) straight(r run) *phrase {
	p, done := d.plain[r]
	if !done {
		d.steps++
		p = d.find(r)
		d.plain[r] = p
	}
	return p
}

func (d *decompiler) find(r run) *phrase {
	switch {
	case r.from == r.to && r.entry == r.succ:
		return constantPhrase(phraseTrue)
	case r.from == r.to:
		return constantPhrase(phraseFalse)
	case r.entry == r.succ:
		return or(constantPhrase(phraseTrue), d.phrase(run{r.from, r.to, r.succ, r.fail, r.from}))
	case r.entry == r.fail:
		return and(constantPhrase(phraseFalse), d.phrase(run{r.from, r.to, r.succ, r.fail, r.from}))
	}
	if ends := d.leave(r.from, r.to); r.succ != r.fail && len(ends) == 1 {
		inner := d.phrase(run{r.from, r.to, ends[0], ends[0], r.entry})
		if ends[0] == r.succ {
			return or(inner, constantPhrase(phraseTrue))
		}
		return and(inner, constantPhrase(phraseFalse))
	}
	if r.to-r.from == 1 {
		if d.tests[r.from].succ != r.succ {
			return nil // it leads to the ends the other way round
		}
		return &phrase{test: int(r.from), tokens: 1}
	}
	for cut := r.to - 1; cut > r.from && d.steps < decompileSteps; cut-- {
		d.steps++
		if p := d.cut(r, cut); p != nil {
			return p
		}
	}
	return d.skip(r)
}

// cut takes the tests before cut for the condition. It must have at most two ends; what they are decides the rest.
func (d *decompiler) cut(r run, cut uint16) *phrase {
	ends := d.leave(r.from, cut)
	if ends == nil {
		return nil
	}
	if r.entry >= cut {
		ends = with(slices.Clone(ends), r.entry)
	}
	var inside, outside []uint16
	for _, end := range ends {
		if end >= cut && end < r.to {
			inside = append(inside, end)
		} else {
			outside = append(outside, end)
		}
	}
	switch {
	case len(ends) > 2:
		return nil
	case len(inside) == 2:
		return d.branch(r, cut, inside[0], inside[1])
	case len(inside) == 1:
		return d.sequence(r, cut, inside[0], outside)
	}
	return d.unasked(r, cut)
}

// branch is (a ? b : c), where b is entered at then and c at other.
func (d *decompiler) branch(r run, cut, then, other uint16) *phrase {
	a := d.phrase(run{r.from, cut, then, other, r.entry})
	if a == nil {
		return nil
	}
	for mid := other; mid > then; mid-- {
		if !d.within(cut, mid, r) {
			continue
		}
		b := d.phrase(run{cut, mid, r.succ, r.fail, then})
		if p := ternary(a, b, d.phrase(run{mid, r.to, r.succ, r.fail, other})); p != nil {
			return p
		}
	}
	return nil
}

// skip is a run that begins with tests which are never asked.
func (d *decompiler) skip(r run) *phrase {
	for mid := r.entry; mid > r.from; mid-- {
		if !d.within(r.from, mid, r) {
			continue
		}
		b := d.phrase(run{r.from, mid, r.succ, r.fail, r.from})
		if p := ternary(constantPhrase(phraseFalse), b, d.phrase(run{mid, r.to, r.succ, r.fail, r.entry})); p != nil {
			return p
		}
	}
	return nil
}

// within says that the tests from..to-1 lead nowhere but to the ends of r.
func (d *decompiler) within(from, to uint16, r run) bool {
	d.steps++
	ends := d.leave(from, to)
	return ends != nil && !slices.ContainsFunc(ends, func(end uint16) bool { return end != r.succ && end != r.fail })
}

// sequence is a condition of which one answer leads to the rest, which is entered at next, and the other out of the run.
func (d *decompiler) sequence(r run, cut, next uint16, outside []uint16) *phrase {
	rest := d.phrase(run{cut, r.to, r.succ, r.fail, next})
	if rest == nil {
		return nil
	}
	if len(outside) == 0 {
		outside = []uint16{r.fail, r.succ}
	}
	var best *phrase
	for _, out := range outside {
		a := d.phrase(run{r.from, cut, next, out, r.entry})  // holds: go on
		na := d.phrase(run{r.from, cut, out, next, r.entry}) // holds: leave
		if out == r.fail {
			best = shortest(best, and(a, rest), ternary(na, constantPhrase(phraseFalse), rest))
		}
		if out == r.succ {
			best = shortest(best, or(na, rest), ternary(a, rest, constantPhrase(phraseTrue)))
		}
	}
	return best
}

// unasked is a run whose tests from cut on are never asked.
func (d *decompiler) unasked(r run, cut uint16) *phrase {
	live := d.phrase(run{r.from, cut, r.succ, r.fail, r.entry})
	dead := d.phrase(run{cut, r.to, r.succ, r.fail, cut})
	if live == nil || dead == nil {
		return nil
	}
	return shortest(
		and(live, or(constantPhrase(phraseTrue), dead)),
		or(live, and(constantPhrase(phraseFalse), dead)),
	)
}
