package frag_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Every fragment is a packet of at most the MTU, as long as can be but for the last, in order, with its header right.
func TestFragmentsAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := packets(6000).Draw(t, "packet")
		l := frag.Limit{MTU: drawMTU(t, p), Sender: true, ID: 0xdead}
		all := fragments(t, p, l)
		if len(all) == 1 {
			return
		}
		at := 0
		for i, f := range all {
			h := parse(t, f)
			last := i == len(all)-1
			if !h.Fragment || h.MoreFrags == last || int(h.FragOff) != at || int(h.Len) != len(f) {
				t.Fatalf("fragment %d of %d at %d: %+v", i, len(all), at, h)
			}
			if len(f) > l.MTU || !last && len(f) <= l.MTU-8 {
				t.Fatalf("fragment %d of %d has %d bytes at an MTU of %d", i, len(all), len(f), l.MTU)
			}
			if h.Version == 4 && wire.Checksum(f[:h.HeaderLen]) != 0 {
				t.Fatalf("fragment %d: header checksum", i)
			}
			if h.Version == 6 && h.FragmentHeaderOf(f).ID() != l.ID || h.Version == 4 && h.IPv4(f).ID() != parse(t, p).IPv4(p).ID() {
				t.Fatalf("fragment %d: identification", i)
			}
			if h.Version == 4 {
				at += int(h.Len) - int(h.HeaderLen)
			} else {
				at += int(h.Len) - int(h.FragHeader) - wire.FragmentLen
			}
		}
	})
}

func TestOptionsByTheirCopyBit(t *testing.T) {
	const (
		record = "\x07\x07\x04\x00\x00\x00\x00" // not copied
		source = "\x83\x07\x04\x0a\x00\x00\x09" // copied
		alert  = "\x94\x04\x00\x00"             // copied
		nop    = "\x01"
	)
	for _, c := range []struct{ name, all, later string }{
		{"none", "", ""},
		{"copied", alert, alert},
		{"not copied", record + nop, ""},
		{"both", nop + record + source + nop + alert, source + alert + "\x00"},
		{"padding", source + "\x00", source + "\x00"},
		{"behind the end", alert + "\x00\x00\x00\x00" + alert, alert},
		{"malformed", alert + "\x94\x01\x00\x00" + alert, alert},
		{"as long as can be", "\x89\x27\x04" + string(make([]byte, 36)) + "\x00", "\x89\x27\x04" + string(make([]byte, 36)) + "\x00"},
	} {
		b := piece{0, 400, false, 'A'}.build(false)
		b = slices.Concat(b[:20], []byte(c.all), b[20:])
		ip := (*wire.IPv4Header)(b)
		ip.SetHeaderLen(20 + len(c.all))
		ip.SetLength(uint16(len(b)))
		for i, f := range fragments(t, b, frag.Limit{MTU: 140}) {
			want := c.all
			if i > 0 {
				want = c.later
			}
			if got := f[20:parse(t, f).HeaderLen]; string(got) != want {
				t.Errorf("%s: fragment %d has options % x, want % x", c.name, i, got, want)
			}
		}
	}
}

// The Fragment header stands behind what nodes on the way look at, and before all else.
func TestWhereTheFragmentHeaderStands(t *testing.T) {
	const hop, dest, route, mobility = wire.ProtoHopByHop, wire.ProtoDestOpts, wire.ProtoRouting, wire.ProtoMobility
	for _, c := range []struct {
		chain []uint8
		want  int // extension headers before it
	}{
		{nil, 0},
		{[]uint8{hop}, 1},
		{[]uint8{dest}, 0},
		{[]uint8{hop, dest}, 1},
		{[]uint8{hop, dest, route, dest}, 3},
		{[]uint8{dest, route}, 2},
		{[]uint8{route, mobility}, 1},
		{[]uint8{mobility}, 0},
	} {
		b := piece{0, 3000, false, 'A'}.build(true)
		b = slices.Concat(b[:40], make([]byte, 8*len(c.chain)), b[48:])
		next := 6
		for i, x := range c.chain {
			b[next], next = x, 40+8*i
		}
		b[next] = wire.ProtoUDP
		(*wire.IPv6Header)(b).SetPayloadLength(uint16(len(b) - 40))
		for i, f := range fragments(t, b, frag.Limit{MTU: 1280, Sender: true}) {
			if h := parse(t, f); int(h.FragHeader) != 40+8*c.want {
				t.Errorf("%v: the Fragment header of fragment %d is at %d", c.chain, i, h.FragHeader)
			}
			proto := uint8(wire.ProtoUDP)
			if c.want < len(c.chain) {
				proto = c.chain[c.want]
			}
			if h := parse(t, f); h.FragmentHeaderOf(f).NextHeader() != proto {
				t.Errorf("%v: fragment %d is followed by %d, want %d", c.chain, i, h.FragmentHeaderOf(f).NextHeader(), proto)
			}
		}
	}
}

func TestNotFragmented(t *testing.T) {
	v4 := piece{0, 1000, false, 'A'}.build(false)
	df := slices.Clone(v4)
	df[6] |= 0x40
	noID := slices.Clone(v4)
	noID[4], noID[5] = 0, 0
	v6 := piece{0, 2000, false, 'A'}.build(true)
	v6[6] = wire.ProtoUDP // the Fragment header becomes payload
	tcp := fragmentOf(false, 1, wire.ProtoTCP, piece{0, 1000, false, 0x50})
	impossible := piece{0, 999, true, 'A'}.build(false)
	tooLong := piece{65000, 1000, true, 'A'}.build(false)
	cut := piece{0, 2000, false, 1}.build(true)
	cut[6], cut[41] = wire.ProtoDestOpts, 255 // options longer than the packet
	for _, c := range []struct {
		name string
		b    []byte
		l    frag.Limit
		want error
	}{
		{"nothing", nil, frag.Limit{MTU: 500}, frag.ErrMalformed},
		{"truncated", v4[:900], frag.Limit{MTU: 500}, frag.ErrMalformed},
		{"more to follow, no multiple of 8", impossible, frag.Limit{MTU: 500}, frag.ErrMalformed},
		{"behind 65,535", tooLong, frag.Limit{MTU: 500}, frag.ErrMalformed},
		{"extension headers that do not end", cut, frag.Limit{MTU: 1280, Sender: true}, frag.ErrMalformed},
		{"DF", df, frag.Limit{MTU: 500}, frag.ErrTooBig},
		{"IPv6 of somebody else", v6, frag.Limit{MTU: 1280}, frag.ErrTooBig},
		{"no MTU", v4, frag.Limit{}, frag.ErrNoRoom},
		{"negative MTU", v4, frag.Limit{MTU: -5}, frag.ErrNoRoom},
		{"7 bytes a fragment", v4, frag.Limit{MTU: 27}, frag.ErrNoRoom},
		{"the TCP header does not fit", tcp, frag.Limit{MTU: 43}, frag.ErrNoRoom},
		{"it does", tcp, frag.Limit{MTU: 44}, nil},
		{"8 bytes a fragment", v4, frag.Limit{MTU: 28}, nil},
		{"it fits", df, frag.Limit{MTU: 1020}, nil},
		{"DF ignored", df, frag.Limit{MTU: 500, IgnoreDF: true}, nil},
		{"IPv6 of us", v6, frag.Limit{MTU: 1280, Sender: true}, nil},
	} {
		var c2 frag.Cutter
		var h wire.Headers
		wire.Parse(c.b, &h)
		err := c2.Fragment(c.b, &h, c.l, func([]byte) error { return nil })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		var big *frag.TooBigError
		if errors.As(err, &big) && (big.MTU != c.l.MTU || big.Len != len(c.b) || big.Error() == "") {
			t.Errorf("%s: %+v", c.name, big)
		}
	}
	for _, f := range fragments(t, df, frag.Limit{MTU: 500, IgnoreDF: true}) {
		if !parse(t, f).IPv4(f).DF() {
			t.Error("a fragment lost DF")
		}
	}
	for _, f := range fragments(t, noID, frag.Limit{MTU: 500, ID: 0x1234abcd}) {
		if id := parse(t, f).IPv4(f).ID(); id != 0xabcd {
			t.Errorf("identification %#x, want that of the limit", id)
		}
	}
}

// What emit says ends the cutting; what fits is handed on as it is.
func TestEmit(t *testing.T) {
	stop := errors.New("stop")
	var c frag.Cutter
	b := piece{0, 1000, false, 'A'}.build(false)
	n := 0
	err := c.Fragment(b, parse(t, b), frag.Limit{MTU: 100}, func([]byte) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if err != stop || n != 3 {
		t.Fatalf("%v after %d", err, n)
	}
	if err := c.Fragment(b, parse(t, b), frag.Limit{MTU: len(b)}, func(p []byte) error {
		if &p[0] != &b[0] || len(p) != len(b) {
			return fmt.Errorf("it was copied")
		}
		return stop
	}); err != stop {
		t.Fatal(err)
	}
}
