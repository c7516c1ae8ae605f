package policy

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// source is the text of one file of a policy, and finds places inside its values.
type source struct {
	name  string // as errors name it
	below string // its path from the policy's directory, with slashes; empty for the policy itself
	text  string
	lines []int // byte offset of each
}

func newSource(name, text string) *source {
	s := &source{name: name, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// place returns the line and column of byte at of a scalar's text. In every style of YAML but double quotes with escapes the
// characters of a text, white space apart, stand in the file in the same order with nothing between them, so they are counted off.
// Where that fails the place is the scalar's own.
func (s *source) place(n *node, at int) (line, column int) {
	from := s.start(n)
	at = min(max(at, 0), len(n.text))
	for _, r := range n.text[:at] {
		if unicode.IsSpace(r) {
			continue
		}
		from = s.skipSpace(from)
		got, size := utf8.DecodeRuneInString(s.text[from:])
		if got != r || got == '\\' && n.style == token.DoubleQuoteType {
			return n.line, n.column
		}
		if from += size; r == '\'' && n.style == token.SingleQuoteType {
			from++ // written twice
		}
	}
	if next, _ := utf8.DecodeRuneInString(n.text[at:]); !unicode.IsSpace(next) && at < len(n.text) {
		from = s.skipSpace(from)
	}
	return s.lineColumn(min(from, len(s.text)))
}

// start is where the text of a scalar begins: behind its quote, or below the header of its block.
func (s *source) start(n *node) int {
	i := s.lines[n.line-1]
	for range n.column - 1 {
		_, size := utf8.DecodeRuneInString(s.text[i:])
		i += size
	}
	switch n.style {
	case token.SingleQuoteType, token.DoubleQuoteType:
		return i + 1
	case token.LiteralType, token.FoldedType:
		if n.line < len(s.lines) {
			return s.lines[n.line]
		}
		return len(s.text)
	default:
		return i
	}
}

func (s *source) skipSpace(i int) int {
	return len(s.text) - len(strings.TrimLeftFunc(s.text[min(i, len(s.text)):], unicode.IsSpace))
}

func (s *source) lineColumn(i int) (line, column int) {
	line = sort.SearchInts(s.lines, i+1)
	return line, utf8.RuneCountInString(s.text[s.lines[line-1]:i]) + 1
}
