package filter

import (
	"math"
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
)

// Limits of WinDivert's tokenizer.
const (
	maxTokens = 1277
	maxWord   = 39 // bytes of a name or number
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokOpen
	tokClose
	tokOpenIndex
	tokCloseIndex
	tokMinus
	tokNot
	tokAnd
	tokOr
	tokQuestion
	tokColon
	tokEQ // the comparisons stand in the order of op
	tokNEQ
	tokLT
	tokLEQ
	tokGT
	tokGEQ
	tokNumber
	tokBytes // the b glued to a number
	tokField
	tokMacro // a macro that has no value at this layer
)

type token struct {
	kind  tokenKind
	field fieldID // of tokField
	pos   int     // byte offset in the text
	end   int
	value u128 // of tokNumber
}

// lexer turns a text into tokens. It reads each byte once and keeps at most maxTokens.
type lexer struct {
	src      string
	layer    addr.Layer
	compat22 bool
	pos      int
	tokens   []token
}

// lex returns the tokens of src, closed by tokEnd.
func lex(src string, layer addr.Layer, compat22 bool) ([]token, error) {
	lx := &lexer{src: src, layer: layer, compat22: compat22}
	for {
		for lx.pos < len(src) && isSpace(src[lx.pos]) {
			lx.pos++
		}
		if lx.pos == len(src) {
			lx.emit(tokEnd, 0)
			return lx.tokens, nil
		}
		if len(lx.tokens) >= maxTokens {
			return nil, lx.fail(lx.pos, CodeTooLong, "more than %d words and signs; use several filters, or compare ranges", maxTokens)
		}
		if err := lx.next(); err != nil {
			return nil, err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isWord(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '.' || c == '_' || c == ':'
}

func (lx *lexer) emit(k tokenKind, size int) {
	lx.tokens = append(lx.tokens, token{kind: k, pos: lx.pos, end: lx.pos + size})
	lx.pos += size
}

func (lx *lexer) fail(pos int, code Code, format string, args ...any) *Error {
	return newError(lx.src, pos, code, format, args...)
}

// signs are the tokens of one or two characters; a longer one stands before its beginning.
var signs = [...]struct {
	text string
	kind tokenKind
}{
	{"==", tokEQ},
	{"=", tokEQ},
	{"!=", tokNEQ},
	{"!", tokNot},
	{"<=", tokLEQ},
	{"<", tokLT},
	{">=", tokGEQ},
	{">", tokGT},
	{"&&", tokAnd},
	{"||", tokOr},
	{"(", tokOpen},
	{")", tokClose},
	{"[", tokOpenIndex},
	{"]", tokCloseIndex},
	{"-", tokMinus},
	{"?", tokQuestion},
}

// next reads the token at pos, which is no white space.
func (lx *lexer) next() error {
	rest := lx.src[lx.pos:]
	if rest[0] == ':' && (len(rest) == 1 || rest[1] != ':') {
		lx.emit(tokColon, 1)
		return nil
	}
	if isWord(rest[0]) {
		return lx.word()
	}
	for _, s := range signs {
		if strings.HasPrefix(rest, s.text) {
			lx.emit(s.kind, len(s.text))
			return nil
		}
	}
	// WinDivert has moved on by one when it finds that it does not know the character.
	return lx.fail(lx.pos+1, CodeBadToken, "%s", signHint(lx.src, lx.pos, lx.tokens))
}

// word reads a name, a number or an address. A single colon at its end belongs to a ternary, two to an IPv6 address.
func (lx *lexer) word() error {
	start, end := lx.pos, lx.pos
	for end < len(lx.src) && isWord(lx.src[end]) {
		if end++; end-start > maxWord {
			return lx.fail(start, CodeBadToken, "a name or number of more than %d characters", maxWord)
		}
	}
	w := lx.src[start:end]
	colon := strings.HasSuffix(w, ":") && !strings.HasSuffix(w, "::")
	if colon {
		w = w[:len(w)-1]
	}
	t, err := lx.resolve(w)
	if err != nil {
		if colon {
			err.Pos = lx.beforeColon(start)
		}
		return err
	}
	lx.pos += len(w)
	t.pos, t.end = start, lx.pos
	switch {
	case t.kind == tokBytes:
		// WinDivert's tokenizer forgets to keep a b that stands alone, so it is allowed, and ignored, everywhere.
	case t.kind == tokNumber && isGluedBytes(w):
		t.end--
		// WinDivert reports a misplaced suffix behind the word.
		lx.tokens = append(lx.tokens, t, token{kind: tokBytes, pos: lx.pos, end: lx.pos})
	default:
		lx.tokens = append(lx.tokens, t)
	}
	return nil
}

// isGluedBytes says whether a word that is known to be a number is one with the suffix b, such as 10b.
func isGluedBytes(w string) bool {
	return strings.HasSuffix(w, "b") && !strings.HasPrefix(w, "0x") && !strings.Contains(w, ":")
}

// beforeColon returns where WinDivert reports a bad word that it has taken a colon from: it counts back from behind the word
// one too far, and at the start of the text past 0.
func (lx *lexer) beforeColon(start int) int {
	if start == 0 && lx.compat22 {
		return math.MaxUint32
	}
	return max(0, start-1)
}

var keywords = map[string]tokenKind{"and": tokAnd, "or": tokOr, "not": tokNot}

// resolve finds out what a word is, in WinDivert's order: keyword, field or macro, number, address.
func (lx *lexer) resolve(w string) (token, *Error) {
	if k, ok := keywords[w]; ok {
		return token{kind: k}, nil
	}
	if id, ok := fieldByName[w]; ok {
		if !fields[id].layers.has(lx.layer) {
			return token{}, lx.fail(lx.pos, CodeBadTokenForLayer, "%s", layerHint(id, lx.layer))
		}
		return token{kind: tokField, field: id}, nil
	}
	if v, layers := findMacro(w, lx.layer); layers.has(lx.layer) {
		return token{kind: tokNumber, value: u128{lo: uint64(v)}}, nil
	} else if layers != 0 {
		return token{kind: tokMacro}, nil
	}
	if w == "b" {
		return token{kind: tokBytes}, nil
	}
	if v, ok := parseNumber(w); ok {
		return token{kind: tokNumber, value: v}, nil
	}
	return token{}, lx.fail(lx.pos, CodeBadToken, "%s", wordHint(w, lx.layer))
}

// parseNumber reads whatever stands for a number: decimal with or without a glued b, hexadecimal, IPv4, IPv6.
func parseNumber(w string) (v u128, ok bool) {
	for _, parse := range [...]func(string) (u128, bool){parseDecimal, parseBytes, parseHex, parseIPv4, parseIPv6} {
		if v, ok = parse(w); ok {
			return v, true
		}
	}
	return u128{}, false
}

func parseBytes(w string) (v u128, ok bool) {
	digits, ok := strings.CutSuffix(w, "b")
	if !ok {
		return u128{}, false
	}
	return parseDecimal(digits)
}
