package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// errorsShown bounds the errors of one file that are told; the rest are counted.
const errorsShown = 50

// Error is one thing that is wrong in a policy, and where: File is the policy or a file that it includes. Line and Column count from 1, columns in characters; both are 0
// where the whole file is meant.
type Error struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Msg    string `json:"msg"` // what is wrong and what to do about it; for a filter text the text too, with a caret below the place
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Errors is all that is wrong in a policy, by file and place, up to 50; More says how many were left out.
type Errors struct {
	List []Error `json:"errors"`
	More int     `json:"more,omitempty"`
}

func (e *Errors) Error() string {
	var b strings.Builder
	for i := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.List[i].Error())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.More)
	}
	return b.String()
}

// problems collects what is wrong in the files of a policy.
type problems struct {
	files []string // in the order of reading
	list  []Error
	hints int // suggestions that were looked for
}

func (p *problems) add(file string, line, column int, format string, args ...any) {
	p.list = append(p.list, Error{File: file, Line: line, Column: column, Msg: fmt.Sprintf(format, args...)})
}

func (p *problems) at(n *node, format string, args ...any) {
	p.add(n.src.name, n.line, n.column, format, args...)
}

// seenFrom names the place of n for a reader of the file of from.
func (n *node) seenFrom(from *node) string {
	if n.src == from.src {
		return fmt.Sprintf("line %d", n.line)
	}
	return fmt.Sprintf("%s:%d", n.src.name, n.line)
}

// hintsMax bounds the search for suggestions in a file that is wrong throughout; more errors than that are not shown anyway.
const hintsMax = 4 * errorsShown

// unknown says that word is not one of the known ones, and names the nearest.
func (p *problems) unknown(n *node, what, word string, known []string) {
	hint := ""
	if p.hints++; p.hints <= hintsMax {
		hint = "; " + remedy(word, known)
	}
	p.at(n, "unknown %s %s%s", what, quote(word), hint)
}

// err returns *Errors, or nil if nothing is wrong.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Error) int {
		return cmp.Or(
			cmp.Compare(slices.Index(p.files, a.File), slices.Index(p.files, b.File)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	shown := min(len(p.list), errorsShown)
	return &Errors{List: p.list[:shown:shown], More: len(p.list) - shown}
}

// quoteMax bounds how much of a word an error repeats, in bytes.
const quoteMax = 60

// quote shows a word of the file in an error.
func quote(word string) string {
	if len(word) > quoteMax {
		word = strings.ToValidUTF8(word[:quoteMax], "") + "…"
	}
	return fmt.Sprintf("%q", word)
}
