package filter

// Limits of WinDivert's parser and of its indices.
const (
	maxDepth  = 1024  // steps down the grammar; a parenthesis takes three, an or one
	maxParens = 340   // within each other, which follows
	maxIndex  = 65575 // of the number written
	maxByte   = 65535 // of the byte offset that it means
)

// parser reads the grammar by descent; every step down the grammar that WinDivert counts takes one of depth.
//
//	filter  := andseq { or andseq }
//	andseq  := arg { and arg }
//	arg     := '(' filter ')' | '(' filter '?' filter ':' filter ')' | test
//	test    := { not } field [ comparison ['-'] NUMBER ]
//	field   := name | name '[' ['-'] NUMBER ['b'] ']'
type parser struct {
	src    string
	tokens []token
	i      int
}

func parse(src string, tokens []token) (*tree, error) {
	p := &parser{src: src, tokens: tokens}
	t, err := p.filter(maxDepth)
	if err == nil && p.peek() != tokEnd {
		err = p.unexpected(`"and", "or" or the end`)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (p *parser) peek() tokenKind { return p.tokens[p.i].kind }

// accept consumes the next token if it is of kind k.
func (p *parser) accept(k tokenKind) bool {
	if p.peek() != k {
		return false
	}
	p.i++
	return true
}

// fail reports the next token.
func (p *parser) fail(code Code, format string, args ...any) *Error {
	return newError(p.src, p.tokens[p.i].pos, code, format, args...)
}

func (p *parser) unexpected(want string) *Error {
	return p.fail(CodeParse, "%s", parseHint(p.src, p.tokens, p.i, want))
}

func (p *parser) tooDeep() *Error {
	return p.fail(CodeTooDeep, "nested too deeply: at most %d parentheses within each other", maxParens)
}

func (p *parser) filter(depth int) (*tree, *Error) {
	if depth == 0 {
		return nil, p.tooDeep()
	}
	left, err := p.andSeq(depth - 1)
	if err != nil || !p.accept(tokOr) {
		return left, err
	}
	right, err := p.filter(depth - 1)
	if err != nil {
		return nil, err
	}
	return &tree{kind: nodeOr, a: left, b: right}, nil
}

func (p *parser) andSeq(depth int) (*tree, *Error) {
	if depth == 0 {
		return nil, p.tooDeep()
	}
	left, err := p.arg(depth - 1)
	for err == nil && p.accept(tokAnd) {
		var right *tree
		right, err = p.arg(depth - 1)
		left = &tree{kind: nodeAnd, a: left, b: right}
	}
	if err != nil {
		return nil, err
	}
	return left, nil
}

func (p *parser) arg(depth int) (*tree, *Error) {
	if depth == 0 {
		return nil, p.tooDeep()
	}
	if !p.accept(tokOpen) {
		return p.test()
	}
	return p.group(depth - 1)
}

// group reads what follows an opening parenthesis, with the closing one.
func (p *parser) group(depth int) (*tree, *Error) {
	t, err := p.filter(depth)
	if err != nil {
		// WinDivert reports whatever is wrong within a parenthesis as a parse error, but not behind its question mark.
		err.Code = CodeParse
		return nil, err
	}
	if p.accept(tokClose) {
		return t, nil
	}
	if !p.accept(tokQuestion) {
		return nil, p.unexpected(`"and", "or", ? or )`)
	}
	then, err := p.filter(depth)
	if err != nil {
		return nil, err
	}
	if !p.accept(tokColon) {
		return nil, p.unexpected(`"and", "or" or the : of the ternary`)
	}
	other, err := p.filter(depth)
	if err != nil {
		return nil, err
	}
	if !p.accept(tokClose) {
		return nil, p.unexpected(`"and", "or" or )`)
	}
	return &tree{kind: nodeTernary, a: t, b: then, c: other}, nil
}

func (p *parser) test() (*tree, *Error) {
	negated, first := false, p.tokens[p.i].pos
	for p.accept(tokNot) {
		negated = !negated
	}
	t := p.tokens[p.i]
	if t.kind != tokField {
		return nil, p.unexpected("a field")
	}
	p.i++
	c := comparison{field: t.field, op: opNEQ, pos: t.pos}
	if c.field.size() != 0 {
		index, err := p.index(c.field)
		if err != nil {
			return nil, err
		}
		c.index = index
	}
	if k := p.peek(); k >= tokEQ && k <= tokGEQ {
		p.i++
		c.op = op(k - tokEQ)
		c.value.neg = p.accept(tokMinus)
		c.pos = p.tokens[p.i].pos
		c.value.mag = p.tokens[p.i].value
		if !p.accept(tokNumber) {
			return nil, p.unexpected("a number, an address or a macro")
		}
	}
	if negated {
		c.op = c.op.negate()
	}
	c.at, c.end = first, p.tokens[p.i-1].end
	return &tree{test: c}, nil
}

// index reads the index of an indexed field and returns the byte offset that it means, negative from the end.
func (p *parser) index(id fieldID) (int, *Error) {
	if !p.accept(tokOpenIndex) {
		return 0, p.unexpected("an index, as in " + fields[id].name + "[0],")
	}
	fromEnd := p.accept(tokMinus)
	if p.peek() != tokNumber {
		return 0, p.unexpected("an index")
	}
	v := p.tokens[p.i].value
	if v.hi != 0 || v.lo > maxIndex {
		return 0, p.outOfBounds(id)
	}
	p.i++
	offset := int(v.lo)
	if !p.accept(tokBytes) {
		offset *= id.size()
	}
	if fromEnd && (offset < id.size() || offset > maxByte) || !fromEnd && offset > maxByte-id.size() {
		return 0, p.outOfBounds(id)
	}
	if !p.accept(tokCloseIndex) {
		return 0, p.unexpected("]")
	}
	if fromEnd {
		offset = -offset
	}
	return offset, nil
}

func (p *parser) outOfBounds(id fieldID) *Error {
	return p.fail(CodeIndexOutOfBounds, "index of %s out of bounds: its bytes are 0 to %d from the start, -%d to -%d from the end",
		fields[id].name, maxByte-id.size(), id.size(), maxByte)
}
