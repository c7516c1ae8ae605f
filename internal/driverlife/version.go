package driverlife

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// versionOf reads the file version of a program's version resource (VS_FIXEDFILEINFO), found by its signature; "": none.
func versionOf(b []byte) string {
	i := bytes.Index(b, []byte{0xbd, 0x04, 0xef, 0xfe, 0, 0, 1, 0})
	if i < 0 || len(b) < i+16 {
		return ""
	}
	ms, ls := binary.LittleEndian.Uint32(b[i+8:]), binary.LittleEndian.Uint32(b[i+12:])
	return fmt.Sprintf("%d.%d.%d.%d", ms>>16, ms&0xffff, ls>>16, ls&0xffff)
}
