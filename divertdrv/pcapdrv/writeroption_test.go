package pcapdrv_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// noted is what a block says of a packet besides its bytes, read by a parser that shares no code with the writer.
type noted struct {
	iface   uint32
	comment string
	flags   uint32
	id      uint64
}

func readNoted(t *rapid.T, b []byte) (all []noted, names []string) {
	le := binary.LittleEndian
	for len(b) > 0 {
		typ, size := le.Uint32(b), le.Uint32(b[4:])
		if size%4 != 0 || le.Uint32(b[size-4:]) != size {
			t.Fatalf("a block of %d bytes ends with %d", size, le.Uint32(b[size-4:]))
		}
		body := b[8 : size-4]
		switch typ {
		case 1:
			readOptions(t, body[8:], func(code uint16, v []byte) {
				if code == 2 {
					names = append(names, string(v))
				}
			})
		case 6:
			n := noted{iface: le.Uint32(body)}
			readOptions(t, body[20+(le.Uint32(body[12:])+3)&^3:], func(code uint16, v []byte) {
				switch code {
				case 1:
					n.comment = string(v)
				case 2:
					n.flags = le.Uint32(v)
				case 5:
					n.id = le.Uint64(v)
				default:
					t.Fatalf("option %d", code)
				}
			})
			all = append(all, n)
		}
		b = b[size:]
	}
	return all, names
}

func readOptions(t *rapid.T, b []byte, see func(uint16, []byte)) {
	for len(b) > 0 {
		code, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if code == 0 {
			if len(b) != 4 || size != 0 {
				t.Fatalf("%d bytes from the end of options on", len(b))
			}
			return
		}
		see(code, b[4:4+size])
		b = b[4+(size+3)&^3:]
	}
}

func TestWriterNotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file bytes.Buffer
		w := writer(t, &file)
		want := []string{}
		for range rapid.IntRange(1, 12).Draw(t, "records") {
			r := pcapdrv.Record{
				Data: rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "data"), Link: pcapdrv.LinkRaw,
				Direction: pcapdrv.Direction(rapid.IntRange(0, 2).Draw(t, "direction")),
				Interface: rapid.SampledFrom([]string{"", "a", "b/seen"}).Draw(t, "interface"),
				Comment:   rapid.StringN(0, 40, -1).Draw(t, "comment"), PacketID: rapid.Uint64().Draw(t, "id"),
			}
			if rapid.IntRange(0, 20).Draw(t, "long") == 0 {
				r.Comment = strings.Repeat("x", 70_000)
			}
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
			name := r.Interface
			if name == "" {
				name = "weir"
			}
			want = append(want, fmt.Sprint(name, len(r.Comment) > 0xffff, r.Comment[:min(len(r.Comment), 0xffff)], r.Direction, r.PacketID))
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, names := readNoted(t, file.Bytes())
		if len(got) != len(want) {
			t.Fatalf("%d packets, want %d", len(got), len(want))
		}
		for i, n := range got {
			s := fmt.Sprint(names[n.iface], len(n.comment) == 0xffff, n.comment, pcapdrv.Direction(n.flags), n.id)
			if s != want[i] {
				t.Fatalf("packet %d: %q, want %q", i, s, want[i])
			}
		}
	})
}

func TestWriterOfNotesDoesNotAllocate(t *testing.T) {
	w := writer(t, &full{room: 1 << 40})
	r := pcapdrv.Record{Data: make([]byte, 1400), Link: pcapdrv.LinkRaw, Interface: "tap/seen", Comment: "verdict=pass", PacketID: 7}
	if n := testing.AllocsPerRun(1000, func() {
		if w.Write(r) != nil {
			t.Fatal("write failed")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
