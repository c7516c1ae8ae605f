package policy

import (
	"bytes"
	"unicode/utf8"
)

// checkText finds what no policy contains: bytes that are not UTF-8, control characters, and tabs outside of comments, behind
// which columns could not be told.
func checkText(src []byte, p *problems) {
	line := 1
	for rest := src; len(rest) > 0; line++ {
		text := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			text, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		checkLine(bytes.TrimSuffix(text, []byte("\r")), line, p)
	}
}

// checkLine reports the first fault of a line.
func checkLine(text []byte, line int, p *problems) {
	comment := false
	for i, column := 0, 1; i < len(text); column++ {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			p.add(line, column, "byte %#02x is not UTF-8; save the file as UTF-8", text[i])
			return
		case r == '\t' && comment:
		case r == '\t':
			p.add(line, column, "tab; indent and separate with spaces")
			return
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			p.add(line, column, "control character %U; remove it", r)
			return
		}
		comment = comment || r == '#'
		i += n
	}
}
