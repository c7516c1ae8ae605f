package driverlife

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf16"
)

// versionOf reads the file version of a program's version resource: the text, which WinDivert keeps true, or else the numbers
// (VS_FIXEDFILEINFO, found by its signature). "": there is none.
func versionOf(b []byte) string {
	if s := versionText(b); s != "" {
		return s
	}
	i := bytes.Index(b, []byte{0xbd, 0x04, 0xef, 0xfe, 0, 0, 1, 0})
	if i < 0 || len(b) < i+16 {
		return ""
	}
	ms, ls := binary.LittleEndian.Uint32(b[i+8:]), binary.LittleEndian.Uint32(b[i+12:])
	return fmt.Sprintf("%d.%d.%d.%d", ms>>16, ms&0xffff, ls>>16, ls&0xffff)
}

// maxVersion bounds the text, in characters.
const maxVersion = 32

// versionText reads the value of the string FileVersion, which stands behind its name, aligned by zeros, in UTF-16.
func versionText(b []byte) string {
	i := bytes.Index(b, wide("FileVersion\x00"))
	if i < 0 {
		return ""
	}
	var text []uint16
	for rest := b[i+len(wide("FileVersion\x00")):]; len(rest) >= 2 && len(text) < maxVersion; rest = rest[2:] {
		c := binary.LittleEndian.Uint16(rest)
		switch {
		case c == 0 && len(text) == 0: // alignment
		case c == 0:
			return string(utf16.Decode(text))
		case !unicode.IsPrint(rune(c)):
			return ""
		default:
			text = append(text, c)
		}
	}
	return ""
}

func wide(s string) (b []byte) {
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}
