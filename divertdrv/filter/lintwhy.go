package filter

import "strings"

// whyImpossible says why a test holds for nothing that comes to it, and what may have been meant.
func (l *linter) whyImpossible(c *comparison, in *possible, seen spans) (why, remedy string) {
	const alternatives = `join alternatives with "or"`
	info, header := &fields[c.field], c.field.header()
	if holds, known := c.fold(); known && !holds {
		return ": " + info.name + " is " + l.values(c.field, spansOf(c.field, info.values)), "compare with a value that it can have"
	}
	if header != fZero && !l.some(in, header) {
		why = ": no packet that comes to it has " + article(header)
		if all := in.instead(header); all != "" {
			why += "; all are " + all
		}
		return why, alternatives
	}
	if factOf[c.field] != 0 {
		return ": " + l.whichFact(c, in), alternatives
	}
	if is := l.values(c.field, seen); is != "" {
		return ": " + info.name + " is " + is + " there", l.orRemedy(c, alternatives)
	}
	return ": what stands before it rules it out", ""
}

// orRemedy is for tests of one value: those who exclude by "and" have hardly mixed it up with "or".
func (l *linter) orRemedy(c *comparison, remedy string) string {
	if c.op == opEQ {
		return remedy
	}
	return ""
}

// whyVacuous says why a test fails for nothing that comes to it.
func (l *linter) whyVacuous(c *comparison, in *possible, out answers) (why, remedy string) {
	info, header := &fields[c.field], c.field.header()
	if _, known := c.fold(); known {
		why = ": " + info.name + " is " + l.values(c.field, spansOf(c.field, info.values))
	} else if factOf[c.field] != 0 {
		why = ": " + l.whichFact(c, in)
	} else if is := l.values(c.field, out.seen); is != "" {
		why = ": " + info.name + " is " + is + " there"
	}
	if c.op == opNEQ && why != "" && factOf[c.field] == 0 {
		remedy = `to exclude several values join the tests with "and"`
	}
	if !out.no.nothing() && header != fZero {
		why += ", so it says no more than " + fields[header].name
	}
	return why, remedy
}

// values describes values of a field.
func (l *linter) values(id fieldID, values spans) string {
	return values.describe(id, func(v number) string { return spellValue(id, v, l.layer) })
}

func article(header fieldID) string {
	name := headerNames[header]
	if strings.HasPrefix(name, "I") {
		return "an " + name + " header"
	}
	return "a " + name + " header"
}

// instead names a header that all packets have, and that rules out another one; "" if there is none.
func (p *possible) instead(of fieldID) string {
	for _, id := range [...]fieldID{fTCP, fUDP, fICMP, fICMPv6, fIP, fIPv6} {
		if p.all(id) && !together(id, of) {
			return headerNames[id]
		}
	}
	return ""
}

// together says that a packet can have both headers.
func together(a, b fieldID) bool {
	for w := range world(numWorlds) {
		if w.is(a) && w.is(b) {
			return true
		}
	}
	return false
}

func (p *possible) all(id fieldID) bool {
	all := true
	p.worlds.each(func(w world) { all = all && w.is(id) })
	return all
}

// whichFact is about a field that is a yes or no and can be only one of them.
func (l *linter) whichFact(c *comparison, in *possible) string {
	name := fields[c.field].name
	header, other := headerNames[c.field], in.instead(c.field)
	switch {
	case !l.some(in, c.field) && header != "" && other != "":
		return "whatever comes to it is " + other
	case !l.some(in, c.field):
		return "whatever comes to it has " + name + " = 0"
	case !in.all(c.field):
		return name + " is 0 or 1"
	case header != "":
		return "whatever comes to it is " + header
	}
	return "whatever comes to it has " + name + " = 1"
}
