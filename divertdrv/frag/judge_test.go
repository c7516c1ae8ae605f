package frag_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// What is wrong with a fragment by itself drops that fragment and nothing else.
func TestJudgedAlone(t *testing.T) {
	const tcp, udp, icmp = wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP
	for _, c := range []struct {
		name   string
		proto  uint8
		p      piece
		v4, v6 frag.Outcome
	}{
		{"no data", udp, piece{8, 0, true, 0}, frag.BadLength, frag.BadLength},
		{"no data at the end", udp, piece{8, 0, false, 0}, frag.BadLength, frag.BadLength},
		{"no multiple of 8", udp, piece{8, 9, true, 0}, frag.BadLength, frag.BadLength},
		{"no multiple of 8 at the start", udp, piece{0, 12, true, 0}, frag.BadLength, frag.BadLength},
		{"one byte at the end", udp, piece{2048, 1, false, 0}, frag.Held, frag.Held},
		{"ping of death", icmp, piece{65528, 100, false, 0}, frag.TooLong, frag.TooLong},
		{"the last byte that fits, IPv4", udp, piece{65512, 3, false, 0}, frag.Held, frag.Held},
		{"one too many for IPv4", udp, piece{65512, 4, false, 0}, frag.TooLong, frag.Held},
		{"the last byte that fits, IPv6", udp, piece{65528, 7, false, 0}, frag.TooLong, frag.Held},
		{"one too many for IPv6", udp, piece{65528, 8, true, 0}, frag.TooLong, frag.TooLong},
		{"tiny TCP, RFC 1858", tcp, piece{0, 8, true, 0x50}, frag.CutHeader, frag.CutHeader},
		{"TCP flags but no whole header", tcp, piece{0, 16, true, 0x50}, frag.CutHeader, frag.CutHeader},
		{"TCP header", tcp, piece{0, 24, true, 0x50}, frag.Held, frag.Held},
		{"TCP options elsewhere, RFC 7112", tcp, piece{0, 24, true, 0xf0}, frag.Held, frag.CutHeader},
		{"data over TCP flags, RFC 3128", tcp, piece{8, 24, true, 0}, frag.CutHeader, frag.CutHeader},
		{"data over the TCP checksum", tcp, piece{16, 8, true, 0}, frag.CutHeader, frag.CutHeader},
		{"data behind the TCP header", tcp, piece{24, 8, true, 0}, frag.Held, frag.Held},
		{"UDP header", udp, piece{0, 8, true, 0}, frag.Held, frag.Held},
		{"unknown protocol", 253, piece{0, 8, true, 0}, frag.Held, frag.Held},
		{"destination options that do not end", wire.ProtoDestOpts, piece{0, 8, true, 1}, frag.Held, frag.CutHeader},
		{"destination options, then tiny TCP", wire.ProtoDestOpts, piece{0, 16, true, 0}, frag.Held, frag.CutHeader},
		{"a second Fragment header", wire.ProtoFragment, piece{0, 16, true, 0}, frag.Held, frag.Nested},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, v6 bool) {
				want := c.v4
				if v6 {
					want = c.v6
				}
				o := newOwner(t, frag.Config{})
				others := piece{1024, 8, true, 'x'} // of the same packet: it must not suffer
				o.want(frag.Held, fragmentOf(v6, 9, c.proto, others))
				o.want(want, fragmentOf(v6, 9, c.proto, c.p))
				if want.Dropped() {
					o.want(frag.Duplicate, fragmentOf(v6, 9, c.proto, others))
				}
			})
		})
	}
}

func TestTruncated(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		o := newOwner(t, frag.Config{})
		whole := piece{0, 800, true, 'A'}.build(v6)
		o.want(frag.Truncated, whole[:700])
		// Headers of another, longer packet: the bounds are looked at again.
		var h wire.Headers
		wire.Parse(whole, &h)
		if res := frag.NewReassembler(frag.Config{}).Add(whole[:200], &h, 0, 0); res.Outcome != frag.Truncated {
			t.Fatalf("%v, want truncated", res.Outcome)
		}
		o.want(frag.Held, slices.Concat(whole, []byte("behind"))) // what is behind the IP length does not count
		res := o.want(frag.Joined, piece{800, 1, false, 'A'}.build(v6))
		if bytes.Contains(res.Whole, []byte("behind")) {
			t.Fatal("bytes from behind the packet are part of the whole")
		}
	})
}

func TestNoFragment(t *testing.T) {
	o := newOwner(t, frag.Config{})
	p := fragmentOf(false, 1, wire.ProtoUDP, piece{0, 20, false, 0})
	o.want(frag.NotFragment, p, []byte{1, 2, 3}, nil)
	if s := o.Stats(); s != (frag.Stats{}) {
		t.Fatalf("counted: %+v", s)
	}
}

// Atomic fragments are whole, whatever waits under their identification (RFC 6946).
func TestAtomic(t *testing.T) {
	o := newOwner(t, frag.Config{})
	waits := piece{0, 16, true, 'A'}.build(true)
	o.want(frag.Held, waits)
	atomic := piece{0, 21, false, 'B'}.build(true)
	res := o.want(frag.Joined, atomic)
	want := slices.Concat(atomic[:40], atomic[48:])
	want[5], want[6] = 21, wire.ProtoUDP
	if !bytes.Equal(res.Whole, want) || res.Pieces != 1 || res.Largest != len(atomic) {
		t.Fatalf("got  % x\nwant % x", res.Whole, want)
	}
	o.want(frag.Duplicate, waits)
	o.want(frag.Joined, fragmentOf(true, 7, wire.ProtoNoNext, piece{0, 0, false, 0}))
	o.want(frag.Nested, fragmentOf(true, 7, wire.ProtoFragment, piece{0, 24, false, 0}))
	o.want(frag.Joined, piece{16, 4, false, 'A'}.build(true))
}
