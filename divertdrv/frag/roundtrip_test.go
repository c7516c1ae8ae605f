package frag_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Whatever a packet is cut to, in whatever order its fragments come, some of them twice and some cut once more on their way, the
// whole is the packet bit for bit.
func TestCutAndJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := packets(rapid.SampledFrom([]int{200, 4000, 65535}).Draw(t, "longest")).Draw(t, "packet")
		l := frag.Limit{MTU: drawMTU(t, p), Sender: true, ID: rapid.Uint32().Draw(t, "id")}
		all := fragments(t, p, l)
		if len(all) == 1 {
			if !bytes.Equal(all[0], p) {
				t.Fatalf("a packet that fits was changed")
			}
			return
		}
		all = cutSomeAgain(t, all)
		again := rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 0, 3).Draw(t, "twice")
		all = rapid.Permutation(all).Draw(t, "order")
		o := newOwner(t, frag.Config{Pieces: 8192})
		var copies int
		for i, f := range all {
			if i == len(all)-1 {
				break
			}
			o.want(frag.Held, f)
			if slices.Contains(again, i) {
				o.want(frag.Duplicate, f)
				copies++
			}
		}
		res := o.want(frag.Joined, all[len(all)-1])
		if !bytes.Equal(res.Whole, p) {
			t.Fatalf("%d fragments: the whole is not the packet\n% x\n% x", len(all), res.Whole, p)
		}
		if s := o.Stats(); s.Packets != 0 || s.Wholes != 1 || s.Waiting != 0 || res.Pieces != len(all) ||
			s.Outcomes[frag.Joined] != uint64(len(all)) || s.Outcomes[frag.Duplicate] != uint64(copies) {
			t.Fatalf("%d fragments in %d pieces, %d copies: %+v", len(all), res.Pieces, copies, s)
		}
	})
}

// drawMTU draws one that the packet's headers leave room for; small ones for small packets only, to spare the test's time.
func drawMTU(t *rapid.T, p []byte) int {
	h := parse(t, p)
	least := int(h.PayloadOff) + wire.FragmentLen + 8
	if len(p) > 10000 {
		least = max(least, 576)
	}
	return rapid.IntRange(least, max(least, 2000)).Draw(t, "MTU")
}

func cutSomeAgain(t *rapid.T, all [][]byte) [][]byte {
	mtu := rapid.IntRange(80, 400).Draw(t, "second MTU")
	if !rapid.Bool().Draw(t, "again") {
		return all
	}
	var out [][]byte
	for i, f := range all {
		if h := parse(t, f); i%2 == 1 && int(h.TransportOff)+8 <= mtu {
			out = append(out, fragments(t, f, frag.Limit{MTU: mtu, Sender: true})...)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// Fragments of many packets at once do not get in each other's way.
func TestManyAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOwner(t, frag.Config{})
		n := rapid.IntRange(2, 40).Draw(t, "packets")
		first := func(i int) int { return 8 * (1 + 13*i) } // bytes in the first fragment
		var all [][]byte
		for i := range n {
			all = append(all, fragmentOf(i%2 == 0, uint16(i), wire.ProtoUDP, piece{0, first(i), true, byte(i)}),
				fragmentOf(i%2 == 0, uint16(i), wire.ProtoUDP, piece{first(i), 5, false, byte(i)}))
		}
		for _, f := range rapid.Permutation(all).Draw(t, "order") {
			res := o.add(f)
			if res.Outcome != frag.Joined {
				continue
			}
			body := res.Whole[parse(t, res.Whole).TransportOff:]
			if i := int(body[0]); len(body) != first(i)+5 || bytes.Count(body, body[:1]) != len(body) {
				t.Fatalf("packet %d: %d bytes", i, len(body))
			}
		}
		if s := o.Stats(); s.Wholes != uint64(n) || s.Waiting != 0 || s.Packets != 0 {
			t.Fatalf("of %d packets: %+v", n, s)
		}
	})
}
