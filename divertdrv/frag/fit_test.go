package frag_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestFit(t *testing.T) {
	udp := piece{0, 3000, false, 'A'}.build(false)
	df := slices.Clone(udp)
	df[6] |= 0x40
	udp6 := piece{0, 3000, false, 'A'}.build(true)
	udp6 = slices.Concat(udp6[:40], udp6[48:])
	udp6[6] = wire.ProtoUDP
	(*wire.IPv6Header)(udp6).SetPayloadLength(3000)
	tcp, tcp6 := tcpPacket(false, wire.ACK, 0, 3000), tcpPacket(true, wire.ACK, 0, 3000)
	syn := tcpPacket(false, wire.SYN, 0, 3000)
	fragment := piece{0, 3000, true, 'A'}.build(false)
	for _, c := range []struct {
		name   string
		b      []byte
		l      frag.Limit
		want   frag.Fitness
		pieces int
	}{
		{"fits", df, frag.Limit{MTU: 3020}, frag.AsIs, 1},
		{"UDP", udp, frag.Limit{MTU: 1500}, frag.ByFragments, 3},
		{"UDP with DF", df, frag.Limit{MTU: 1500}, frag.TooBig, 0},
		{"UDP of several messages", df, frag.Limit{MTU: 1500, MSS: 1000}, frag.BySegments, 3},
		{"messages longer than the MTU", udp, frag.Limit{MTU: 1500, MSS: 1480}, frag.ByFragments, 3},
		{"messages longer than the MTU, with DF", df, frag.Limit{MTU: 1500, MSS: 1480}, frag.TooBig, 0},
		{"UDP over IPv6, not ours", udp6, frag.Limit{MTU: 1500}, frag.TooBig, 0},
		{"UDP over IPv6, ours", udp6, frag.Limit{MTU: 1500, Sender: true}, frag.ByFragments, 3},
		{"TCP", tcp, frag.Limit{MTU: 1500}, frag.BySegments, 3},
		{"TCP over IPv6, not ours", tcp6, frag.Limit{MTU: 1500}, frag.BySegments, 3},
		{"TCP with a smaller MSS", tcp, frag.Limit{MTU: 1500, MSS: 600}, frag.BySegments, 5},
		{"TCP with a larger MSS", tcp, frag.Limit{MTU: 1500, MSS: 9000}, frag.BySegments, 3},
		{"SYN", syn, frag.Limit{MTU: 1500}, frag.ByFragments, 3},
		{"fragment", fragment, frag.Limit{MTU: 1500}, frag.ByFragments, 3},
		{"no MTU", tcp, frag.Limit{}, frag.TooBig, 0},
		{"truncated", tcp[:100], frag.Limit{MTU: 1500}, frag.TooBig, 0},
	} {
		var h wire.Headers
		wire.Parse(c.b, &h)
		if got := frag.Fit(c.b, &h, c.l); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		n := 0
		var cutter frag.Cutter
		err := cutter.Cut(c.b, &h, c.l, func(p []byte) error {
			if n++; len(p) > c.l.MTU {
				t.Errorf("%s: %d bytes", c.name, len(p))
			}
			return nil
		})
		if n != c.pieces || (err == nil) != (c.pieces > 0) {
			t.Errorf("%s: %d packets, want %d; %v", c.name, n, c.pieces, err)
		}
		if c.want == frag.TooBig && c.l.MTU > 0 && !h.Truncated && !errors.Is(err, frag.ErrTooBig) {
			t.Errorf("%s: %v, want too big", c.name, err)
		}
	}
}

func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for o := range frag.Outcome(frag.OutcomeCount) {
		if s := o.String(); s == "" || seen[s] {
			t.Errorf("outcome %d is named %q", o, s)
		}
		seen[o.String()] = true
	}
	if frag.Joined.Dropped() || !frag.Duplicate.Dropped() || frag.Held.Dropped() {
		t.Error("what is dropped")
	}
	for _, s := range []string{frag.Outcome(200).String(), frag.TooBig.String(), frag.Fitness(9).String()} {
		if s == "" {
			t.Error("no name")
		}
	}
}
