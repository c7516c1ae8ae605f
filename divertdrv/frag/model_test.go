package frag_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/frag"
)

// model is reassembly as the RFCs tell it, with a byte for each byte and no thought of speed. It shares no code with the package.
type model struct {
	here    []piece
	refused bool
}

func (m *model) add(p piece) frag.Outcome {
	if m.refused {
		return frag.Overlap
	}
	for _, q := range m.here {
		if p == q {
			return frag.Duplicate
		}
	}
	m.here = append(m.here, p)
	if m.torn() {
		*m = model{refused: true}
		return frag.Overlap
	}
	if m.bytes() == nil {
		return frag.Held
	}
	return frag.Joined
}

// torn says that a byte comes twice, or that one lies behind the end, or that the end is told in two ways.
func (m *model) torn() bool {
	count := make(map[int]int)
	end, ends := 1<<20, make(map[int]bool)
	for _, p := range m.here {
		for i := range p.n {
			count[p.off+i]++
		}
		if !p.more {
			end = p.off + p.n
			ends[end] = true
		}
	}
	for at, n := range count {
		if n > 1 || at >= end {
			return true
		}
	}
	for _, p := range m.here {
		if p.more && p.off+p.n == end {
			return true
		}
	}
	return len(ends) > 1
}

// bytes is the whole, nil as long as something is missing.
func (m *model) bytes() []byte {
	all, end := make(map[int]byte), -1
	for _, p := range m.here {
		for i := range p.n {
			all[p.off+i] = p.fill
		}
		if !p.more {
			end = p.off + p.n
		}
	}
	if len(all) != end {
		return nil
	}
	out := make([]byte, end)
	for at, b := range all {
		out[at] = b
	}
	return out
}

// places draws fragments that mostly overlap, or are one of three that make a packet.
func places() *rapid.Generator[piece] {
	fitting := rapid.SampledFrom([]piece{{0, 8, true, 'A'}, {8, 16, true, 'A'}, {24, 5, false, 'A'}})
	anywhere := rapid.Custom(func(t *rapid.T) piece {
		p := piece{off: 8 * rapid.IntRange(0, 5).Draw(t, "off"), fill: rapid.SampledFrom([]byte("AAAB")).Draw(t, "fill")}
		if p.more = p.off == 0 || rapid.IntRange(0, 3).Draw(t, "more") != 0; p.more {
			p.n = 8 * rapid.IntRange(1, 3).Draw(t, "units")
		} else {
			p.n = rapid.IntRange(1, 24).Draw(t, "bytes")
		}
		return p
	})
	return rapid.OneOf(fitting, fitting, fitting, anywhere)
}

// Random fragments of a short packet have the outcomes that the model gives them, and a whole its bytes.
func TestAsTheModel(t *testing.T) {
	seen := make(map[frag.Outcome]int)
	rapid.Check(t, func(t *rapid.T) {
		v6 := rapid.Bool().Draw(t, "v6")
		o, m := newOwner(t, frag.Config{}), &model{}
		for _, p := range rapid.SliceOfN(places(), 12, 40).Draw(t, "fragments") {
			want := m.add(p)
			res := o.add(p.build(v6))
			if res.Outcome != want {
				t.Fatalf("%v: %v, the model says %v", p, res.Outcome, want)
			}
			seen[want]++
			switch {
			case want == frag.Joined:
				if body := res.Whole[parse(t, res.Whole).TransportOff:]; !bytes.Equal(body, m.bytes()) {
					t.Fatalf("got  %s\nwant %s", body, m.bytes())
				}
				*m = model{}
			case want == frag.Overlap && rapid.Bool().Draw(t, "wait"):
				o.now = o.now.Add(frag.DefaultTimeoutIPv6)
				*m = model{}
			}
		}
	})
	t.Logf("outcomes: %v", seen)
	for _, o := range []frag.Outcome{frag.Held, frag.Joined, frag.Duplicate, frag.Overlap} {
		if seen[o] < 20 {
			t.Errorf("%v only %d times", o, seen[o])
		}
	}
}
