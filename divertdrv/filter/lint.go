package filter

import (
	"fmt"
	"slices"
	"strings"
)

// Lint is something in a filter that works and is hardly meant.
type Lint struct {
	Kind   LintKind `json:"kind"`
	Pos    int      `json:"pos"` // byte offset of what it is about in the text; -1 in a program that came as an object
	End    int      `json:"end"` // behind it; -1 with Pos
	Text   string   `json:"text"`
	Msg    string   `json:"msg"`
	Remedy string   `json:"remedy,omitempty"` // where there is one
}

// LintKind says what a Lint is about.
type LintKind string

// The kinds of lint. The first two are about the whole filter and come first.
const (
	LintAlwaysTrue  LintKind = "always-true"  // each packet or event matches
	LintAlwaysFalse LintKind = "always-false" // none does
	LintImpossible  LintKind = "impossible"   // a test that holds for no packet that comes to it
	LintVacuous     LintKind = "vacuous"      // a test that holds for each packet that comes to it and has the field
	LintUnreachable LintKind = "unreachable"  // a clause that no packet comes to
)

// String returns the finding in one line.
func (l Lint) String() string {
	s := l.Msg
	if l.Remedy != "" {
		s += "; " + l.Remedy
	}
	if l.Pos >= 0 {
		s += fmt.Sprintf(" (%s at byte %d)", l.Kind, l.Pos)
	}
	return s
}

// Lint looks for what is hardly meant: a filter that is the same for all packets, tests that cannot hold or cannot fail, clauses
// that are never asked. What it says is so for every packet or event that a driver gives: it follows which headers and values
// are possible behind each test. It does not find everything that is so, and says nothing of the words true and false. It takes
// time in the square of the number of tests, at most some milliseconds.
func (p *Program) Lint() []Lint {
	l := &linter{analysis: analysis{p.layer, p.compat22}, src: p.src}
	start := possible{worlds: allWorlds()}
	var match, other possible
	if t := p.tree(); t != nil {
		match, other = l.tree(t, start)
	} else {
		match, other = l.tests(p.tests, start)
	}
	switch {
	case l.asked == 0: // it is nothing but true and false
	case match.nothing():
		l.whole(LintAlwaysFalse, "the filter is false for every packet or event", "write false if that is meant")
	case other.nothing():
		l.whole(LintAlwaysTrue, "the filter is true for every packet or event", "write true if that is meant")
	}
	return l.found
}

// tree parses the text again, in which every test still has its place; nil for a compiled object.
func (p *Program) tree() *tree {
	if strings.HasPrefix(p.src, objectPrefix) {
		return nil
	}
	tokens, err := lex(p.src, p.layer, p.compat22)
	if err != nil {
		return nil
	}
	t, err := parse(p.src, tokens)
	if err != nil {
		return nil
	}
	return t
}

type linter struct {
	analysis
	src   string
	leaf  int // of the text, the tests so far
	asked int // of them, those of fields
	last  int // leaf behind the clause that was last found unreachable
	found []Lint
}

// whole puts a finding about the whole filter before the others, of which those that follow from it go.
func (l *linter) whole(kind LintKind, msg, remedy string) {
	l.found = slices.DeleteFunc(l.found, func(f Lint) bool { return f.Kind == LintUnreachable })
	w := Lint{Kind: kind, Pos: -1, End: -1, Msg: msg, Remedy: remedy}
	if !strings.HasPrefix(l.src, objectPrefix) {
		w.Pos, w.End, w.Text = 0, len(l.src), l.src
	}
	l.found = slices.Insert(l.found, 0, w)
}

// tree follows what is possible through a text.
func (l *linter) tree(t *tree, in possible) (yes, no possible) {
	if in.nothing() {
		l.unreachable(t)
		return yes, no
	}
	switch t.kind {
	case nodeAnd:
		yes, no := l.tree(t.a, in)
		last, more := l.tree(t.b, yes)
		return last, l.join(no, more)
	case nodeOr:
		yes, no := l.tree(t.a, in)
		more, last := l.tree(t.b, no)
		return l.join(yes, more), last
	case nodeTernary:
		yes, no := l.tree(t.a, in)
		thenYes, thenNo := l.tree(t.b, yes)
		elseYes, elseNo := l.tree(t.c, no)
		return l.join(thenYes, elseYes), l.join(thenNo, elseNo)
	}
	l.leaf++
	return l.test(&t.test, &in, l.src[t.test.at:t.test.end])
}

// tests follows what is possible through the tests of an object.
func (l *linter) tests(tests []test, start possible) (match, other possible) {
	return l.follow(tests, start, func(i int, in *possible) (yes, no possible) {
		c := tests[i].comparison
		c.at, c.end = -1, -1
		text := c.spell(l.layer)
		if in.nothing() {
			l.asked++
			l.add(&c, text, LintUnreachable, "no packet or event comes to "+text, "")
			return yes, no
		}
		return l.test(&c, in, text)
	})
}

// test asks one test, and says what is odd about it.
func (l *linter) test(c *comparison, in *possible, text string) (yes, no possible) {
	out := l.ask(*c, in)
	switch c.field {
	case fTrue, fFalse, fZero:
		return out.yes, out.no
	}
	l.asked++
	switch {
	case out.yes.nothing():
		why, remedy := l.whyImpossible(c, in, out.seen)
		l.add(c, text, LintImpossible, text+" never holds"+why, remedy)
	case out.no.nothing() || out.vacuous:
		why, remedy := l.whyVacuous(c, in, out)
		l.add(c, text, LintVacuous, text+" always holds"+why, remedy)
	}
	return out.yes, out.no
}

func (l *linter) add(c *comparison, text string, kind LintKind, msg, remedy string) {
	l.found = append(l.found, Lint{kind, c.at, c.end, text, msg, remedy})
}

// unreachable reports a clause, in one with the clause before if nothing stands between. true and false may be idle.
func (l *linter) unreachable(t *tree) {
	before := l.leaf
	l.leaf += t.leaves()
	if !t.named() {
		return
	}
	l.asked++
	from, to := t.ends()
	if last := len(l.found) - 1; last >= 0 && l.found[last].Kind == LintUnreachable && l.last == before {
		from = l.found[last].Pos
		l.found = l.found[:last]
	}
	l.last = l.leaf
	text := l.src[from:to]
	l.found = append(l.found, Lint{
		LintUnreachable, from, to, text, "no packet or event comes to " + text + ": what stands before it decides", "leave it out",
	})
}

// ends returns where the tests of a text begin and end.
func (t *tree) ends() (from, to int) {
	first, last := t, t
	for first.kind != nodeTest {
		first = first.a
	}
	for last.kind != nodeTest {
		if last.kind == nodeTernary {
			last = last.c
		} else {
			last = last.b
		}
	}
	return first.test.at, last.test.end
}

// leaves counts the tests.
func (t *tree) leaves() (n int) {
	t.each(func(*comparison) { n++ })
	return n
}

// named says that a test is of another field than the constants.
func (t *tree) named() (found bool) {
	t.each(func(c *comparison) { found = found || c.field != fTrue && c.field != fFalse && c.field != fZero })
	return found
}

func (t *tree) each(f func(c *comparison)) {
	if t.kind == nodeTest {
		f(&t.test)
		return
	}
	t.a.each(f)
	t.b.each(f)
	if t.kind == nodeTernary {
		t.c.each(f)
	}
}
