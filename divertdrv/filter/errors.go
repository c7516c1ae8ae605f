package filter

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Code says what is wrong with a text, in WinDivert's terms.
type Code uint8

// The codes of WinDivert's filter compiler that a text can cause.
const (
	CodeTooDeep          Code = iota + 1 // nested past the limit; inside parentheses WinDivert says CodeParse instead
	CodeTooLong                          // too many tokens or tests
	CodeBadToken                         // no token of the language
	CodeBadTokenForLayer                 // a field of another layer
	CodeParse                            // a token where it cannot stand
	CodeIndexOutOfBounds                 // a byte offset that no packet has
	CodeBadObject                        // a compiled object (@WinDiv_…) that is damaged, or not meant for this layer
)

var codeNames = [...]string{
	"unknown", "too-deep", "too-long", "bad-token", "bad-token-for-layer", "parse", "index-out-of-bounds", "bad-object",
}

// String returns the code as machines read it, such as bad-token.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return codeNames[0]
}

// Error is what Parse returns for a text that is no filter.
type Error struct {
	Src  string // the whole text
	Pos  int    // byte offset in Src as WinDivert gives it: 0..len(Src), or where its count fails, under Compat22, 1<<32-1
	Code Code
	Msg  string // what was found, what was expected, and what to do about it
}

// Error returns the message, the line of the text that it is about (a window of it where it is long), and a caret below Pos.
func (e *Error) Error() string {
	line, caret := e.window()
	return fmt.Sprintf("filter: %s (%s at byte %d)\n  %s\n  %s^", e.Msg, e.Code, e.Pos, line, strings.Repeat(" ", caret))
}

// windowSide is how many bytes of the text Error shows on either side of the position.
const windowSide = 50

// window returns the part of the text around Pos with control characters blanked, and the caret's column in it.
func (e *Error) window() (line string, caret int) {
	const ellipsis = "…"
	at := e.Pos
	if at > len(e.Src) {
		at = 0
	}
	for at > 0 && at < len(e.Src) && !utf8.RuneStart(e.Src[at]) {
		at--
	}
	from, to := max(0, at-windowSide), min(len(e.Src), at+windowSide)
	for from < at && !utf8.RuneStart(e.Src[from]) {
		from++
	}
	for to > at && to < len(e.Src) && !utf8.RuneStart(e.Src[to]) {
		to--
	}
	before, after := printable(e.Src[from:at]), printable(e.Src[at:to])
	if from > 0 {
		before = ellipsis + before
	}
	if to < len(e.Src) {
		after += ellipsis
	}
	return before + after, utf8.RuneCountInString(before)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r == utf8.RuneError:
			return '?'
		}
		return r
	}, s)
}

func newError(src string, pos int, code Code, format string, args ...any) *Error {
	return &Error{Src: src, Pos: pos, Code: code, Msg: fmt.Sprintf(format, args...)}
}
