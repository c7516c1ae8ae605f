package policy

import (
	"bytes"
	"unicode/utf8"
)

// What the scanner does not read in time in proportion to its length is bounded. Of all else random search found nothing.
const (
	emptyMax = 100 // empty lines in a row: for each at the end of a block of text it copies the block
	angleMax = 32  // "<" in a row: at each it counts the rest of them
)

// checkText finds what no policy contains: bytes that are not UTF-8, control characters, tabs outside of comments, behind which
// columns could not be told, and what only a file that means harm contains.
func checkText(file string, src []byte, p *problems) {
	line, empty := 1, 0
	for rest := src; len(rest) > 0; line++ {
		text := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			text, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		if empty++; len(bytes.TrimSpace(text)) > 0 {
			empty = 0
		}
		if empty == emptyMax+1 {
			p.add(file, line, 1, "more than %d empty lines in a row; remove some", emptyMax)
		}
		checkLine(file, bytes.TrimSuffix(text, []byte("\r")), line, p)
	}
}

// checkLine reports the first fault of a line.
func checkLine(file string, text []byte, line int, p *problems) {
	comment, angles := false, 0
	for i, column := 0, 1; i < len(text); column++ {
		r, n := utf8.DecodeRune(text[i:])
		if angles++; r != '<' {
			angles = 0
		}
		switch {
		case angles > angleMax:
			p.add(file, line, column, "more than %d \"<\" in a row; remove some", angleMax)
			return
		case r == utf8.RuneError && n == 1:
			p.add(file, line, column, "byte %#02x is not UTF-8; save the file as UTF-8", text[i])
			return
		case r == '\t' && comment:
		case r == '\t':
			p.add(file, line, column, "tab; indent and separate with spaces")
			return
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			p.add(file, line, column, "control character %U; remove it", r)
			return
		}
		comment = comment || r == '#'
		i += n
	}
}
