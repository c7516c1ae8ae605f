package set

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// LineError is a line of a set file that is no entry.
type LineError struct {
	Line   int // from 1
	Column int // of the entry, from 1, in characters
	Err    error
}

func (e *LineError) Error() string { return fmt.Sprintf("%d:%d: %v", e.Line, e.Column, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// wrongMax bounds the errors of one file: what is wrong throughout is no set.
const wrongMax = 100

// ParseFile reads the text of a set file: one entry a line, # begins a comment, empty lines do not count. file is what its entries
// name. It reads on behind what is wrong; behind 100 errors, or EntriesMax entries, it stops, and says so.
func ParseFile(file, text string) (entries []Entry, wrong []*LineError) {
	text = strings.TrimPrefix(text, "\ufeff") // Windows' editors put it there
	line := 0
	for raw := range strings.Lines(text) {
		line++
		if len(wrong) >= wrongMax {
			return entries, append(wrong, &LineError{line, 1, errors.New("more is wrong than this; it is no set file: write one entry a line")})
		}
		body, _, _ := strings.Cut(raw, "#")
		word := strings.TrimSpace(body)
		if word == "" {
			continue
		}
		if len(entries) == EntriesMax {
			return entries, append(wrong, &LineError{line, 1, fmt.Errorf("%w; join entries, or part the set", ErrTooMany)})
		}
		e, err := ParseEntry(word)
		if err == nil && len(entries) > 0 && e.kind != entries[0].kind {
			err = fmt.Errorf("%s is one of %v in a set of %v; put it into a set of its own", quote(word), e.kind, entries[0].kind)
		}
		if err != nil {
			at := strings.Index(raw, word)
			wrong = append(wrong, &LineError{line, utf8.RuneCountInString(raw[:at]) + 1, err})
			continue
		}
		e.File, e.Line = file, line
		entries = append(entries, e)
	}
	return entries, wrong
}
