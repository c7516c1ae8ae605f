package queue

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// encode builds a packet message as the kernel does.
func encode(p *Packet, payloadFirst bool) []byte {
	b := begin(nil, typePacket, 0, 0, 7)
	payload := attr(nil, attrPayload, p.Data...)
	if payloadFirst {
		b = append(b, payload...)
	}
	b = append(b, attr(b[:0:0], attrHeader, append(u32(p.ID), 8, 0, byte(p.Hook))...)...)
	for _, a := range []struct {
		typ uint16
		v   uint32
	}{{attrInDev, p.InIf}, {attrOutDev, p.OutIf}, {attrSKBInfo, uint32(p.Facts)}, {attrCapLen, p.Len}} {
		if a.v != 0 {
			b = append(b, attr(nil, a.typ, u32(a.v)...)...)
		}
	}
	if !payloadFirst {
		b = append(b, payload...)
	}
	return end(b, 0)
}

func TestReadPacket(t *testing.T) {
	want := Packet{ID: 0x01020304, Hook: LocalOut, InIf: 3, OutIf: 9, Len: 4000, Facts: ChecksumOwed | Segmentable, Data: []byte("E packet")}
	for _, first := range []bool{false, true} {
		var got Packet
		var a answer
		b := encode(&want, first)
		if m := read(b, &got, &a); m != aPacket {
			t.Fatalf("read says %d, want a packet", m)
		}
		if !bytes.Equal(got.Data, want.Data) {
			t.Errorf("payload %q, want %q", got.Data, want.Data)
		}
		if &got.Data[0] != &b[bytes.Index(b, want.Data)] {
			t.Error("the payload was copied")
		}
		got.Data = want.Data
		if got.ID != want.ID || got.Hook != want.Hook || got.InIf != want.InIf || got.OutIf != want.OutIf || got.Len != want.Len || got.Facts != want.Facts {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// A packet that is not cut has the length of its payload.
func TestReadLength(t *testing.T) {
	var got Packet
	var a answer
	read(encode(&Packet{ID: 1, Data: make([]byte, 60)}, false), &got, &a)
	if got.Len != 60 {
		t.Errorf("length %d, want 60", got.Len)
	}
}

func TestReadAnswer(t *testing.T) {
	b := make([]byte, headerLen+4+headerLen)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], typeError)
	errno := int32(-2)
	binary.NativeEndian.PutUint32(b[headerLen:], uint32(errno))
	binary.NativeEndian.PutUint32(b[headerLen+4+8:], 77)
	var p Packet
	var a answer
	if m := read(b, &p, &a); m != anAnswer || a.errno != 2 || a.seq != 77 {
		t.Errorf("message %d, %+v; want an answer with errno 2 to 77", m, a)
	}
}

// What is cut short or lies about a length is malformed, at every length: never a panic, never bytes of the neighbour.
func TestReadMalformed(t *testing.T) {
	whole := encode(&Packet{ID: 1, Hook: LocalIn, InIf: 2, Data: []byte{0x45, 1, 2}}, false)
	var p Packet
	var a answer
	for n := range whole {
		if m := read(whole[:n], &p, &a); m != malformed {
			t.Fatalf("%d of %d bytes are message %d, want malformed", n, len(whole), m)
		}
	}
	for _, c := range []struct {
		name string
		edit func(b []byte)
	}{
		{"attribute shorter than its header", func(b []byte) { b[20], b[21] = 3, 0 }},
		{"attribute longer than the message", func(b []byte) { b[20], b[21] = 0xff, 0xff }},
		{"message shorter than its header", func(b []byte) { b[0], b[1] = 15, 0 }},
		{"no name", func(b []byte) { b[22] = 99 }},
	} {
		b := bytes.Clone(whole)
		c.edit(b)
		if m := read(b, &p, &a); m != malformed {
			t.Errorf("%s: message %d, want malformed", c.name, m)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(encode(&Packet{ID: 1, Hook: LocalIn, InIf: 2, Facts: 7, Len: 9000, Data: []byte{0x45, 1, 2}}, false))
	f.Add(encode(&Packet{ID: 1, Data: []byte{0x60}}, true))
	f.Add(end(begin(nil, typeError, 0, 1, 0), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		var a answer
		if read(b, &p, &a) != aPacket {
			return
		}
		if int(p.Len) < len(p.Data) {
			t.Fatalf("length %d is less than the %d bytes of payload", p.Len, len(p.Data))
		}
		if len(p.Data) > 0 && !within(p.Data, b) {
			t.Fatal("the payload is not part of the message")
		}
		var q Packet // what was read says the same when it is written and read again
		again := encode(&p, false)
		if read(again, &q, &a) != aPacket || q.ID != p.ID || q.Hook != p.Hook || q.InIf != p.InIf || q.Facts != p.Facts || !bytes.Equal(q.Data, p.Data) {
			t.Fatalf("read %+v, then %+v", p, q)
		}
	})
}

func within(part, b []byte) bool {
	for i := range b {
		if &b[i] == &part[0] {
			return i+len(part) <= len(b)
		}
	}
	return false
}
