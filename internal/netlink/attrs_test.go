package netlink

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// What the kernel's headers say of layout (linux/netlink.h), byte by byte; numbers in the machine's order are left to the round trip.
func TestLayout(t *testing.T) {
	var a Attrs
	a.BE16(1, 0x1234)
	a.BE32(2, 0x12345678)
	a.String(3, "lo")
	a.BE64(4, 1)
	a.Nest(5, func(in *Attrs) { in.U8(6, 7) })
	want := "0600 0100 1234 0000" + "0800 0200 12345678" + "0700 0300 6c6f00 00" + "0c00 0400 0000000000000001" + "0c00 0580 0500 0600 07 000000"
	want = string(bytes.ReplaceAll([]byte(want), []byte(" "), nil))
	if !littleEndian() {
		t.Skip("the bytes above are those of a little-endian machine")
	}
	if got := hex.EncodeToString(a); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func littleEndian() bool {
	var a Attrs
	a.U32(0, 1)
	return a[4] == 1
}

func TestRoundTrip(t *testing.T) {
	type attr struct {
		typ uint16
		v   []byte
	}
	rapid.Check(t, func(t *rapid.T) {
		var a Attrs
		var want []attr
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			at := attr{rapid.Uint16Range(0, attrMask).Draw(t, "type"), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")}
			want = append(want, at)
			a.Bytes(at.typ, at.v)
		}
		if len(a)%4 != 0 {
			t.Fatalf("%d bytes are not aligned", len(a))
		}
		i := 0
		err := Each(a, func(typ uint16, v []byte) error {
			if i >= len(want) || typ != want[i].typ || !bytes.Equal(v, want[i].v) {
				t.Fatalf("attribute %d: %d %x, want %+v", i, typ, v, want)
			}
			i++
			return nil
		})
		if err != nil || i != len(want) {
			t.Fatalf("%d of %d, %v", i, len(want), err)
		}
	})
}

func TestBytesRefusesWhatHasNoLength(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("65,532 bytes were taken")
		}
	}()
	var a Attrs
	a.Bytes(1, make([]byte, 65531))
	a.Bytes(1, make([]byte, 65532))
}

func FuzzEach(f *testing.F) {
	var a Attrs
	a.String(1, "name")
	a.Nest(2, func(in *Attrs) { in.BE32(3, 4) })
	f.Add([]byte(a))
	f.Add([]byte{3, 0, 0, 0})
	f.Add([]byte{4, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		read := 0
		err := Each(b, func(_ uint16, v []byte) error {
			read += attrHeader + len(v)
			_ = Text(v)
			return nil
		})
		if read > len(b) || err == nil && len(b)-read > 3*(len(b)/attrHeader) {
			t.Fatalf("read %d of %d bytes, %v", read, len(b), err)
		}
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"lo\x00": "lo", "lo": "lo", "": "", "\x00x": ""} {
		if got := Text([]byte(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
