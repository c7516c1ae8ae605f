package policy

import "github.com/goccy/go-yaml/token"

// block reads a node in block style whose first token stands at column least or behind it. Without one the node is nothing, at
// the place of none.
func (b *builder) block(least int, none *node) (*node, error) {
	t := b.peek()
	if t == nil || t.Position.Column < least {
		return none, nil
	}
	if t.Type != token.SequenceEntryType && !b.atKey() {
		return b.inline()
	}
	if err := b.descend(t); err != nil {
		return nil, err
	}
	defer b.ascend()
	if t.Type == token.SequenceEntryType {
		return b.blockSequence()
	}
	return b.blockMapping()
}

// atKey says whether a key of a block mapping is next: a scalar with ":" behind it on its line. A text that begins with [ or {
// is no key here.
func (b *builder) atKey() bool {
	if b.i+1 >= len(b.tokens) {
		return false
	}
	key, colon := b.tokens[b.i], b.tokens[b.i+1]
	return isScalar(key.Type) && colon.Type == token.MappingValueType && colon.Position.Line == key.Position.Line
}

// inline reads a value that may stand behind a key: a scalar, or flow style.
func (b *builder) inline() (*node, error) {
	t := b.peek()
	switch {
	case t.Type == token.MappingStartType || t.Type == token.SequenceStartType:
		return b.flow()
	case isScalar(t.Type):
		return b.value(), nil
	default:
		return nil, syntax(t, "%s cannot stand here; quote a text that begins with it", describe(t))
	}
}

func (b *builder) blockSequence() (*node, error) {
	column := b.peek().Position.Column
	n := b.node(b.peek().Position.Line, column, sequence)
	for b.is(token.SequenceEntryType) && b.peek().Position.Column == column {
		dash := b.next()
		item, err := b.block(column+1, b.node(dash.Position.Line, column, null))
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	return n, b.endsAt(column, "an item begins with \"- \"")
}

func (b *builder) blockMapping() (*node, error) {
	column := b.peek().Position.Column
	n := b.node(b.peek().Position.Line, column, mapping)
	for b.atKey() && b.peek().Position.Column == column {
		key := b.value()
		colon := b.next()
		value, err := b.blockValue(key, colon)
		if err != nil {
			return nil, err
		}
		n.keys = append(n.keys, pair{key, value})
	}
	return n, b.endsAt(column, "a key ends with \": \"")
}

// blockValue reads the value of a key: behind it on its line, or below it and further in. The dashes of a list may stand right
// below the key.
func (b *builder) blockValue(key *node, colon *token.Token) (*node, error) {
	none := b.node(colon.Position.Line, colon.Position.Column+1, null)
	t := b.peek()
	switch {
	case t == nil:
		return none, nil
	case t.Position.Line > key.line && t.Type == token.SequenceEntryType:
		return b.block(key.column, none)
	case t.Position.Line > key.line:
		return b.block(key.column+1, none)
	case b.atKey() || t.Type == token.MappingValueType:
		return nil, syntax(t, "a second \":\" on the line; quote the text if it belongs to it")
	default:
		return b.inline()
	}
}

// endsAt checks that what follows a list or mapping of that column belongs to what is around it.
func (b *builder) endsAt(column int, want string) error {
	t := b.peek()
	if t == nil || t.Position.Column < column || t.Type == token.DocumentEndType || t.Type == token.DocumentHeaderType {
		return nil
	}
	if t.Position.Column == column && (t.Type == token.SequenceEntryType || b.atKey()) {
		return nil // a list right below its key, and the next key; if it is neither, who comes next says so
	}
	return syntax(t, "%s cannot stand here: %s, and what belongs together is indented alike", describe(t), want)
}
