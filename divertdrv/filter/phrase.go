package filter

import "strings"

// phrase is a text that was found for some tests: one test, a constant, or others joined.
type phrase struct {
	kind    nodeKind // of nodeTest: a constant where test < 0
	test    int      // number of the test, or one of the constants
	a, b, c *phrase
	tokens  int // of the whole, a test counted as one
}

const (
	phraseTrue  = -1
	phraseFalse = -2
)

func constantPhrase(value int) *phrase { return &phrase{test: value, tokens: 1} }

// and, or and ternary return nil where a part is nil.

func and(a, b *phrase) *phrase {
	if a == nil || b == nil {
		return nil
	}
	p := &phrase{kind: nodeAnd, a: a, b: b, tokens: a.tokens + 1 + b.tokens}
	for _, q := range [...]*phrase{a, b} {
		if q.kind == nodeOr {
			p.tokens += 2
		}
	}
	return p
}

func or(a, b *phrase) *phrase {
	if a == nil || b == nil {
		return nil
	}
	return &phrase{kind: nodeOr, a: a, b: b, tokens: a.tokens + 1 + b.tokens}
}

func ternary(a, b, c *phrase) *phrase {
	if a == nil || b == nil || c == nil {
		return nil
	}
	return &phrase{kind: nodeTernary, a: a, b: b, c: c, tokens: a.tokens + b.tokens + c.tokens + 4}
}

// shortest returns the phrase of the least tokens, the first of them; nil if all are.
func shortest(phrases ...*phrase) (best *phrase) {
	for _, p := range phrases {
		if p != nil && (best == nil || p.tokens < best.tokens) {
			best = p
		}
	}
	return best
}

// write appends the text. Parentheses stand around a ternary, and around or within and.
func (p *phrase) write(b *strings.Builder, spell func(test int) string) {
	switch p.kind {
	case nodeAnd:
		p.a.writeWithin(b, spell)
		b.WriteString(" and ")
		p.b.writeWithin(b, spell)
	case nodeOr:
		p.a.write(b, spell)
		b.WriteString(" or ")
		p.b.write(b, spell)
	case nodeTernary:
		b.WriteByte('(')
		p.a.write(b, spell)
		b.WriteString(" ? ")
		p.b.write(b, spell)
		b.WriteString(" : ")
		p.c.write(b, spell)
		b.WriteByte(')')
	default:
		switch p.test {
		case phraseTrue:
			b.WriteString("true")
		case phraseFalse:
			b.WriteString("false")
		default:
			b.WriteString(spell(p.test))
		}
	}
}

func (p *phrase) writeWithin(b *strings.Builder, spell func(test int) string) {
	if p.kind != nodeOr {
		p.write(b, spell)
		return
	}
	b.WriteByte('(')
	p.write(b, spell)
	b.WriteByte(')')
}
