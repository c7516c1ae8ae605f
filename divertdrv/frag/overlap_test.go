package frag_test

import (
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/frag"
)

// Hostile fragments, each with the outcome that Add returns for it. Offsets and lengths are in bytes, a letter is what they are
// full of. Both IP versions have one policy.
func TestOverlaps(t *testing.T) {
	const held, over, dup, joined = frag.Held, frag.Overlap, frag.Duplicate, frag.Joined
	type step struct {
		piece
		want frag.Outcome
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"in order", []step{{piece{0, 16, true, 'A'}, held}, {piece{16, 16, true, 'B'}, held}, {piece{32, 3, false, 'C'}, joined}}},
		{"backwards", []step{{piece{32, 3, false, 'C'}, held}, {piece{16, 16, true, 'B'}, held}, {piece{0, 16, true, 'A'}, joined}}},
		{"exact copies", []step{
			{piece{0, 16, true, 'A'}, held},
			{piece{0, 16, true, 'A'}, dup},
			{piece{32, 3, false, 'C'}, held},
			{piece{32, 3, false, 'C'}, dup},
			{piece{16, 16, true, 'B'}, joined},
		}},
		{"same place, other bytes", []step{{piece{0, 16, true, 'A'}, held}, {piece{0, 16, true, 'B'}, over}}},
		{"same bytes, but the end is disputed", []step{{piece{16, 8, true, 'A'}, held}, {piece{16, 8, false, 'A'}, over}}},
		{"same bytes, but the end is disputed afterwards", []step{{piece{16, 8, false, 'A'}, held}, {piece{16, 8, true, 'A'}, over}}},
		{"teardrop: the second lies inside the first", []step{{piece{0, 40, true, 'A'}, held}, {piece{24, 8, false, 'B'}, over}}},
		{"inside, same bytes", []step{{piece{0, 40, true, 'A'}, held}, {piece{8, 8, true, 'A'}, over}}},
		{"around, same bytes", []step{{piece{8, 8, true, 'A'}, held}, {piece{0, 40, true, 'A'}, over}}},
		{"by one unit at the front", []step{{piece{8, 16, true, 'A'}, held}, {piece{0, 16, true, 'B'}, over}}},
		{"by one unit at the back", []step{{piece{8, 16, true, 'A'}, held}, {piece{16, 16, true, 'B'}, over}}},
		{"same start, longer", []step{{piece{8, 16, true, 'A'}, held}, {piece{8, 24, true, 'A'}, over}}},
		{"same start, shorter", []step{{piece{8, 16, true, 'A'}, held}, {piece{8, 8, true, 'A'}, over}}},
		{"over two and the gap between", []step{
			{piece{0, 8, true, 'A'}, held}, {piece{16, 8, true, 'A'}, held}, {piece{0, 24, true, 'A'}, over},
		}},
		{"fills a gap and one unit more", []step{
			{piece{0, 8, true, 'A'}, held}, {piece{24, 8, false, 'C'}, held}, {piece{8, 24, true, 'B'}, over},
		}},
		{"fits the gap", []step{{piece{0, 8, true, 'A'}, held}, {piece{24, 8, false, 'C'}, held}, {piece{8, 16, true, 'B'}, joined}}},
		{"behind the end", []step{{piece{16, 8, false, 'C'}, held}, {piece{24, 8, true, 'D'}, over}}},
		{"bonk: more to follow at the end", []step{{piece{16, 8, false, 'C'}, held}, {piece{8, 16, true, 'D'}, over}}},
		{"an end before what is here", []step{{piece{16, 8, true, 'C'}, held}, {piece{8, 4, false, 'D'}, over}}},
		{"a second end, later", []step{{piece{16, 4, false, 'C'}, held}, {piece{24, 4, false, 'D'}, over}}},
		{"a second end, sooner", []step{{piece{16, 4, false, 'C'}, held}, {piece{8, 4, false, 'D'}, over}}},
		{"a longer last one", []step{{piece{16, 4, false, 'C'}, held}, {piece{16, 5, false, 'C'}, over}}},
		{"what follows is refused too", []step{
			{piece{0, 16, true, 'A'}, held},
			{piece{8, 16, true, 'B'}, over},
			{piece{0, 16, true, 'A'}, over},
			{piece{16, 16, true, 'C'}, over},
			{piece{32, 1, false, 'D'}, over},
		}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			both(t, func(t *testing.T, v6 bool) {
				o := newOwner(t, frag.Config{})
				for i, s := range c.steps {
					if got := o.add(s.build(v6)); got.Outcome != s.want {
						t.Fatalf("%d %v: %v, want %v", i, s.piece, got.Outcome, s.want)
					}
				}
				if last := c.steps[len(c.steps)-1].want; last == over && len(o.held) != 0 {
					t.Fatalf("%d fragments are still held", len(o.held))
				}
			})
		})
	}
}

// What was condemned is refused until its time is up, then the identification is free again.
func TestCondemnedUntilItsTimeIsUp(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		o := newOwner(t, frag.Config{})
		a, b := piece{0, 16, true, 'A'}.build(v6), piece{16, 4, false, 'B'}.build(v6)
		o.want(frag.Held, a)
		o.now = o.now.Add(frag.DefaultTimeoutIPv4 / 2)
		o.want(frag.Overlap, piece{8, 16, true, 'X'}.build(v6), a, b)
		timeout := frag.DefaultTimeoutIPv4
		if v6 {
			timeout = frag.DefaultTimeoutIPv6
		}
		o.now = o.now.Add(timeout - frag.DefaultTimeoutIPv4/2 - 1) // counted from the first fragment
		o.want(frag.Overlap, a)
		o.now = o.now.Add(1)
		o.want(frag.Held, a)
		o.want(frag.Joined, b)
		if len(o.exceeded) != 0 {
			t.Fatalf("Time Exceeded for a condemned packet, which RFC 5722 forbids")
		}
	})
}
