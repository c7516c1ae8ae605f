package filter

import (
	"cmp"
	"slices"

	"github.com/weirnet/weir/divertdrv/addr"
)

// possible is what packets can still be at a place in a program: at least all those that do come there, so that what it rules
// out never comes. Without a world nothing comes there.
type possible struct {
	worlds worlds
	known  []knownValues // by field and index; a field that is not here can be all that it ever can be
}

// knownValues is what a field can be where the packet has it. An indexed field may also be absent.
type knownValues struct {
	field  fieldID
	index  int
	values spans
}

func (k *knownValues) compare(c *comparison) int {
	return cmp.Or(cmp.Compare(k.field, c.field), cmp.Compare(k.index, c.index))
}

func (p *possible) nothing() bool { return p.worlds == worlds{} }

// analysis follows what is possible through the tests of a program.
type analysis struct {
	layer    addr.Layer
	compat22 bool
}

// answers is what a test says of the packets that come to it.
type answers struct {
	yes, no possible // what goes on by either answer
	seen    spans    // what the field can be where the test is, if it is neither folded nor a yes or no
	vacuous bool     // it holds for each packet that has the field, and some have it
}

// ask splits what is possible by a test.
func (an *analysis) ask(c comparison, in *possible) (out answers) {
	if in.nothing() {
		return out
	}
	if holds, known := c.fold(); known {
		return an.folded(&c, in, holds)
	}
	c.truncate()
	if factOf[c.field] != 0 {
		in.worlds.each(func(w world) {
			if c.op.holds(unsigned(b2u(an.is(w, c.field))).cmp(c.value)) {
				out.yes.worlds.add(w)
			} else {
				out.no.worlds.add(w)
			}
		})
		out.yes.known, out.no.known = in.known, in.known
		return out
	}
	return an.compared(&c, in)
}

// folded is a comparison whose answer is the same for all values of its field.
func (an *analysis) folded(c *comparison, in *possible, holds bool) (out answers) {
	header := c.field.header()
	out.yes.known, out.no.known = in.known, in.known
	in.worlds.each(func(w world) {
		yes := holds
		if header != fZero {
			there := an.is(w, header)
			yes = holds && there || an.compat22 && holds == there
			out.vacuous = out.vacuous || holds && there
		}
		if yes {
			out.yes.worlds.add(w)
		} else {
			out.no.worlds.add(w)
		}
	})
	return out
}

// compared is a comparison of a number.
func (an *analysis) compared(c *comparison, in *possible) (out answers) {
	now := in.lookup(c, an)
	holds, not := c.split()
	held, missed := now.and(holds), now.and(not)
	header, indexed := c.field.header(), c.field.size() != 0
	fails := false // where there is such a field
	all := false   // there is nothing else known of its values
	in.worlds.each(func(w world) {
		if header != fZero && !an.is(w, header) {
			out.no.worlds.add(w)
			return
		}
		held, missed := held, missed
		if only := w.values(c.field); only != nil {
			held, missed = held.and(only), missed.and(only)
			out.seen = out.seen.or(now.and(only))
		} else {
			all = true
		}
		if len(held) > 0 {
			out.yes.worlds.add(w)
		}
		if len(missed) > 0 || indexed {
			out.no.worlds.add(w)
			fails = fails || len(missed) > 0
		}
	})
	if all {
		out.seen = now
	}
	out.vacuous = !fails && !out.yes.nothing()
	out.yes.known, out.no.known = in.learn(c, held), in.learn(c, missed)
	return out
}

// follow follows what is possible through a program's tests, each of which ask splits, to where it matches and where not.
func (an *analysis) follow(tests []test, start possible, ask func(i int, in *possible) (yes, no possible)) (match, other possible) {
	at := make([]possible, len(tests))
	at[0] = start
	to := func(edge uint16, p possible) {
		switch edge {
		case accept:
			match = an.join(match, p)
		case reject:
			other = an.join(other, p)
		default:
			at[edge] = an.join(at[edge], p)
		}
	}
	for i := range tests {
		yes, no := ask(i, &at[i])
		to(tests[i].succ, yes)
		to(tests[i].fail, no)
	}
	return match, other
}

// is answers a yes or no at the analysis's layer.
func (an *analysis) is(w world, id fieldID) bool {
	if an.compat22 && onEndpoints.has(an.layer) && (id == fIP || id == fIPv6) {
		return false
	}
	return w.is(id)
}

// lookup returns what the field of c can be.
func (p *possible) lookup(c *comparison, an *analysis) spans {
	if at, found := p.search(c); found {
		return p.known[at].values
	}
	switch {
	case c.field == fEvent:
		return spansOf(c.field, events[an.layer])
	case c.field == fIPv6FlowLabel && an.compat22:
		return spansOf(c.field, u32)
	}
	return spansOf(c.field, fields[c.field].values)
}

func (p *possible) search(c *comparison) (at int, found bool) {
	return slices.BinarySearchFunc(p.known, c, func(k knownValues, c *comparison) int { return k.compare(c) })
}

// learn returns what is known, and that the field of c is one of values.
func (p *possible) learn(c *comparison, values spans) []knownValues {
	k := knownValues{c.field, c.index, values}
	at, found := p.search(c)
	known := slices.Clone(p.known)
	if found {
		known[at] = k
		return known
	}
	return slices.Insert(known, at, k)
}

// join returns what is possible where two ways meet.
func (an *analysis) join(a, b possible) possible {
	switch {
	case a.nothing():
		return b
	case b.nothing():
		return a
	}
	out := possible{worlds: a.worlds.or(b.worlds)}
	for i, j := 0, 0; i < len(a.known) || j < len(b.known); {
		way := 0
		switch {
		case i == len(a.known):
			way = 1
		case j == len(b.known):
			way = -1
		default:
			way = a.known[i].compare(&comparison{field: b.known[j].field, index: b.known[j].index})
		}
		switch {
		case way < 0:
			out.keep(a.known[i], !an.some(&b, a.known[i].field.header()))
			i++
		case way > 0:
			out.keep(b.known[j], !an.some(&a, b.known[j].field.header()))
			j++
		default:
			out.keep(an.both(&a, &b, a.known[i], b.known[j]), true)
			i, j = i+1, j+1
		}
	}
	return out
}

func (p *possible) keep(k knownValues, so bool) {
	if so {
		p.known = append(p.known, k)
	}
}

// both is what is known of a field where both ways know something, which counts only if their packets have the field.
func (an *analysis) both(a, b *possible, ka, kb knownValues) knownValues {
	switch header := ka.field.header(); {
	case !an.some(b, header):
		return ka
	case !an.some(a, header):
		return kb
	}
	ka.values = ka.values.or(kb.values)
	return ka
}

// some says that some of the packets have a header, which all have where it is fZero, or are what else id asks.
func (an *analysis) some(p *possible, id fieldID) bool {
	found := id == fZero
	p.worlds.each(func(w world) { found = found || an.is(w, id) })
	return found
}
