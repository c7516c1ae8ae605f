package policy

import (
	"github.com/goccy/go-yaml/token"
)

// kind says what a node is.
type kind uint8

const (
	null kind = iota // nothing is written, or ~, or null
	scalar
	sequence
	mapping
)

// String names the kind as an error tells the user what stands there.
func (k kind) String() string { return [...]string{"nothing", "a value", "a list", "a mapping"}[k] }

// node is a part of a file. Line and column are those of its first character, of a list in block style those of its first "-".
type node struct {
	src          *source
	line, column int
	kind         kind
	text         string     // valid iff scalar
	style        token.Type // valid iff scalar: what the scanner took it for; quoted and block texts are text, whatever they say
	items        []*node    // valid iff sequence
	keys         []pair     // valid iff mapping, as written: names may be given twice
}

type pair struct{ key, value *node }

// depthMax bounds how deep lists and mappings nest. Policies need six.
const depthMax = 32

// builder makes the tree of a file's tokens.
type builder struct {
	src    *source
	tokens []*token.Token
	i      int
	depth  int
}

// parseTree returns the root of the document; a file of comments only is a null node.
func parseTree(src *source) (*node, error) {
	tokens, err := tokenize(src.text)
	if err != nil {
		return nil, err
	}
	b := &builder{src: src, tokens: tokens}
	if b.is(token.DocumentHeaderType) {
		b.i++
	}
	root, err := b.block(1, b.node(1, 1, null))
	if err != nil {
		return nil, err
	}
	if b.is(token.DocumentEndType) {
		b.i++
	}
	switch t := b.peek(); {
	case t == nil:
		return root, nil
	case t.Type == token.DocumentHeaderType:
		return nil, syntax(t, "a second document; a policy is one: remove the \"---\" or what follows it")
	case t.Position.Column < root.column:
		return nil, syntax(t, "this is indented less than the first line; indent both alike")
	default:
		return nil, syntax(t, "%s cannot stand here; look for a missing \":\" or a wrong indentation in the lines above", describe(t))
	}
}

// peek returns the next token, nil at the end.
func (b *builder) peek() *token.Token {
	if b.i < len(b.tokens) {
		return b.tokens[b.i]
	}
	return nil
}

func (b *builder) is(t token.Type) bool { return b.i < len(b.tokens) && b.tokens[b.i].Type == t }

// next takes a token; there must be one.
func (b *builder) next() *token.Token {
	b.i++
	return b.tokens[b.i-1]
}

// descend counts a level of nesting; ascend must follow.
func (b *builder) descend(t *token.Token) error {
	if b.depth++; b.depth > depthMax {
		return syntax(t, "nested deeper than %d levels; a policy needs six", depthMax)
	}
	return nil
}

func (b *builder) ascend() { b.depth-- }

// node makes a node of the file that is read.
func (b *builder) node(line, column int, k kind) *node {
	return &node{src: b.src, line: line, column: column, kind: k}
}

// describe names a token in an error.
func describe(t *token.Token) string {
	switch t.Type {
	case token.LiteralType, token.FoldedType:
		return "a block of text"
	default:
		return quote(t.Value)
	}
}

// isScalar says whether a node of one value begins with the token.
func isScalar(t token.Type) bool {
	switch t {
	case token.StringType, token.SingleQuoteType, token.DoubleQuoteType, token.LiteralType, token.FoldedType, token.BoolType,
		token.NullType, token.IntegerType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType,
		token.FloatType, token.InfinityType, token.NanType:
		return true
	default:
		return false
	}
}

// value takes a scalar.
func (b *builder) value() *node {
	t := b.next()
	n := b.node(t.Position.Line, t.Position.Column, scalar)
	n.text, n.style = t.Value, t.Type
	switch t.Type {
	case token.NullType:
		n.kind = null
	case token.LiteralType, token.FoldedType:
		n.text = ""
		if b.is(token.StringType) { // the text itself; its header came first
			n.text = b.next().Value
		}
	}
	return n
}
