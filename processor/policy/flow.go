package policy

import "github.com/goccy/go-yaml/token"

// flow reads a node in flow style: [a, b] or {key: value}, or a scalar inside of one. There must be a token.
func (b *builder) flow() (*node, error) {
	t := b.peek()
	if isScalar(t.Type) {
		return b.value(), nil
	}
	if err := b.descend(t); err != nil {
		return nil, err
	}
	defer b.ascend()
	switch t.Type {
	case token.SequenceStartType:
		return b.flowSequence()
	case token.MappingStartType:
		return b.flowMapping()
	default:
		return nil, syntax(t, "%s cannot stand here; look for a missing value or a \",\" too many", describe(t))
	}
}

func (b *builder) flowSequence() (*node, error) {
	start := b.next()
	n := b.node(start.Position.Line, start.Position.Column, sequence)
	for {
		if done, err := b.flowEnds(start, token.SequenceEndType, "]"); done || err != nil {
			return n, err
		}
		item, err := b.flow()
		if err != nil {
			return nil, err
		}
		if b.is(token.MappingValueType) {
			return nil, syntax(b.peek(), "a \":\" in a list; write {key: value}, or quote the text if it belongs to it")
		}
		n.items = append(n.items, item)
		if err := b.flowComma(start, token.SequenceEndType, "]"); err != nil {
			return nil, err
		}
	}
}

func (b *builder) flowMapping() (*node, error) {
	start := b.next()
	n := b.node(start.Position.Line, start.Position.Column, mapping)
	for {
		if done, err := b.flowEnds(start, token.MappingEndType, "}"); done || err != nil {
			return n, err
		}
		if t := b.peek(); !isScalar(t.Type) {
			return nil, syntax(t, "%s cannot stand here; want a key", describe(t))
		}
		key := b.value()
		if !b.is(token.MappingValueType) {
			return nil, &syntaxError{key.line, key.column, "no value for " + quote(key.text) + "; write \"key: value\""}
		}
		value, err := b.flowValue(b.next())
		if err != nil {
			return nil, err
		}
		n.keys = append(n.keys, pair{key, value})
		if err := b.flowComma(start, token.MappingEndType, "}"); err != nil {
			return nil, err
		}
	}
}

// flowValue reads what follows a ":"; it may be nothing.
func (b *builder) flowValue(colon *token.Token) (*node, error) {
	t := b.peek()
	if t == nil || t.Type == token.CollectEntryType || t.Type == token.MappingEndType {
		return b.node(colon.Position.Line, colon.Position.Column+1, null), nil
	}
	return b.flow()
}

// flowEnds takes the closing bracket if it is next.
func (b *builder) flowEnds(start *token.Token, end token.Type, bracket string) (bool, error) {
	switch {
	case b.peek() == nil:
		return false, syntax(start, "%q without its %q", start.Value, bracket)
	case b.is(end):
		b.i++
		return true, nil
	}
	return false, nil
}

// flowComma takes the "," between two entries; before the closing bracket there need not be one.
func (b *builder) flowComma(start *token.Token, end token.Type, bracket string) error {
	switch t := b.peek(); {
	case t == nil:
		return syntax(start, "%q without its %q", start.Value, bracket)
	case t.Type == token.CollectEntryType:
		b.i++
		return nil
	case t.Type == end:
		return nil
	default:
		return syntax(t, "%s cannot stand here; want \",\" or %q", describe(t), bracket)
	}
}
