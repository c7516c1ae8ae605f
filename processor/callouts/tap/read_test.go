package tap

import (
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// record is what stands in a file, read by a parser that shares no code with the writer.
type record struct {
	iface, comment string
	id             uint64
	flags          uint32
	wire           uint32
	data           []byte
}

func readFile(t testing.TB, path string) []record {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return readRecords(t, b)
}

func readRecords(t testing.TB, b []byte) (all []record) {
	t.Helper()
	le, ifaces := binary.LittleEndian, []string{}
	for len(b) > 0 {
		typ, size := le.Uint32(b), le.Uint32(b[4:])
		if int(size) > len(b) || size%4 != 0 || le.Uint32(b[size-4:]) != size {
			t.Fatalf("a block of %d bytes", size)
		}
		body := b[8 : size-4]
		switch typ {
		case 1:
			ifaces = append(ifaces, string(option(body[8:], 2)))
		case 6:
			kept := le.Uint32(body[12:])
			r := record{iface: ifaces[le.Uint32(body)], wire: le.Uint32(body[16:]), data: body[20 : 20+kept]}
			options := body[20+(kept+3)&^3:]
			r.comment = string(option(options, 1))
			r.flags = le.Uint32(option(options, 2))
			r.id = le.Uint64(option(options, 5))
			all = append(all, r)
		}
		b = b[size:]
	}
	return all
}

// option finds an option by its code; eight zeros if there is none.
func option(b []byte, code uint16) []byte {
	for len(b) >= 4 {
		c, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if c == code {
			return b[4 : 4+size]
		}
		b = b[4+(size+3)&^3:]
	}
	return make([]byte, 8)
}

var latency = regexp.MustCompile(`latency_ns=[0-9]+$`)

// line is a record in words, with the latency masked and the last byte of the packet.
func (r record) line() string {
	way := map[uint32]string{1: "in", 2: "out"}[r.flags]
	return fmt.Sprintf("%d %s %s: %s; %d", r.id, r.iface, way, latency.ReplaceAllString(r.comment, "latency_ns=T"), r.data[len(r.data)-1])
}

func lines(all []record) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintln(&b, r.line())
	}
	return b.String()
}
