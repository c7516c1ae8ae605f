package frag_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// RFC 3168 5.3, all combinations of three fragments' code points. What it leaves open is the first fragment's.
func TestECN(t *testing.T) {
	const ce, dscp = 3, 0xb8
	mark := func(b []byte, ecn uint8) []byte {
		if b[0]>>4 == 4 {
			(*wire.IPv4Header)(b).SetTOS(dscp | ecn)
		} else {
			(*wire.IPv6Header)(b).SetTrafficClass(dscp | ecn)
		}
		return b
	}
	both(t, func(t *testing.T, v6 bool) {
		for i := range 64 {
			points := []uint8{uint8(i & 3), uint8(i >> 2 & 3), uint8(i >> 4)}
			met := slices.Contains(points, ce)
			want, tos := frag.Joined, dscp|points[0]
			if met {
				tos = dscp | ce
			}
			if met && slices.Contains(points, 0) {
				want = frag.MixedECN
			}
			o := newOwner(t, frag.Config{})
			o.want(frag.Held, mark(piece{16, 8, true, 'B'}.build(v6), points[1]), mark(piece{24, 3, false, 'C'}.build(v6), points[2]))
			res := o.want(want, mark(piece{0, 16, true, 'A'}.build(v6), points[0]))
			if want == frag.Joined && tosOf(res.Whole) != tos {
				t.Fatalf("%v: the whole has %#x, want %#x", points, tosOf(res.Whole), tos)
			}
			if want == frag.MixedECN && (o.outcomes[want] != 3 || len(o.held) != 0) {
				t.Fatalf("%v: %v", points, o.outcomes)
			}
		}
	})
}

func tosOf(b []byte) uint8 {
	if b[0]>>4 == 4 {
		return (*wire.IPv4Header)(b).TOS()
	}
	return (*wire.IPv6Header)(b).TrafficClass()
}

// The headers of the whole are the first fragment's, whatever the others have and whichever comes first.
func TestHeadersAreTheFirsts(t *testing.T) {
	first := withExtension(piece{0, 16, true, 'A'}.build(true), wire.ProtoHopByHop, 1)
	first = withExtension(first, wire.ProtoRouting, 0)
	first[7] = 11 // hop limit
	last := piece{16, 3, false, 'B'}.build(true)
	last[7], last[40] = 12, wire.ProtoICMPv6 // RFC 8200: only the first fragment's Next Header counts
	for _, order := range [][][]byte{{first, last}, {last, first}} {
		o := newOwner(t, frag.Config{})
		o.want(frag.Held, order[0])
		res := o.want(frag.Joined, order[1])
		want := slices.Concat(first[:64], first[72:], last[48:])
		want[5] = byte(len(want) - 40)
		want[56] = wire.ProtoUDP // the Routing header's next
		if !bytes.Equal(res.Whole, want) || res.Largest != len(first) {
			t.Fatalf("got  % x\nwant % x", res.Whole, want)
		}
	}
	four := piece{0, 16, true, 'A'}.build(false)
	four = slices.Concat(four[:20], []byte{0x94, 4, 0, 0}, four[20:]) // router alert
	four[0], four[3], four[6], four[8] = 0x46, 40, 0x60, 33           // DF and MF
	end := piece{16, 3, false, 'B'}.build(false)
	o := newOwner(t, frag.Config{})
	o.want(frag.Held, end)
	res := o.want(frag.Joined, four)
	want := slices.Concat(four, end[20:])
	want[3], want[6] = byte(len(want)), 0x40
	want[10], want[11] = res.Whole[10], res.Whole[11] // looked at for every whole
	if !bytes.Equal(res.Whole, want) {
		t.Fatalf("got  % x\nwant % x", res.Whole, want)
	}
}

// withExtension puts an extension header of 8 bytes and so many words of 8 in front of the Fragment header.
func withExtension(b []byte, proto uint8, words int) []byte {
	var h wire.Headers
	wire.Parse(b, &h)
	x := make([]byte, 8+8*words)
	x[0], x[1] = wire.ProtoFragment, byte(words)
	before := 6
	for e, at := h.Extensions(b), 40; ; {
		p, header, _ := e.Next()
		if p == wire.ProtoFragment {
			break
		}
		before = at
		at += len(header)
	}
	b = slices.Concat(b[:h.FragHeader], x, b[h.FragHeader:])
	b[before] = proto
	(*wire.IPv6Header)(b).SetPayloadLength(uint16(len(b) - 40))
	return b
}

// Fragments belong together by addresses, identification, scope and, in IPv4 only, protocol.
func TestWhatBelongsTogether(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		src, dst, id, hops := 12, 16, 5, 8
		if v6 {
			src, dst, id, hops = 8, 24, 47, 7
		}
		for _, c := range []struct {
			name   string
			change func(b []byte)
			scope  uint32
			same   bool
		}{
			{"nothing differs", func([]byte) {}, 0, true},
			{"hop limit", func(b []byte) { b[hops]++ }, 0, true},
			{"source", func(b []byte) { b[src+3]++ }, 0, false},
			{"destination", func(b []byte) { b[dst+3]++ }, 0, false},
			{"identification", func(b []byte) { b[id]++ }, 0, false},
			{"scope", func([]byte) {}, 1, false},
		} {
			o := newOwner(t, frag.Config{})
			o.want(frag.Held, piece{0, 16, true, 'A'}.build(v6))
			b := piece{16, 3, false, 'B'}.build(v6)
			c.change(b)
			if got := o.addScoped(b, c.scope).Outcome; got == frag.Joined != c.same {
				t.Errorf("%s: %v", c.name, got)
			}
		}
		o := newOwner(t, frag.Config{})
		o.want(frag.Held, fragmentOf(v6, 7, 100, piece{0, 16, true, 'A'}))
		want := frag.Held
		if v6 {
			want = frag.Joined
		}
		o.want(want, fragmentOf(v6, 7, 101, piece{16, 3, false, 'B'}))
	})
}
