package lower

import (
	"cmp"
	"math"
	"math/bits"

	"github.com/weirnet/weir/divertdrv/filter"
)

// value is an unsigned number of 128 bits.
type value struct{ hi, lo uint64 }

var maxWide = value{math.MaxUint64, math.MaxUint64}

func narrow(v uint64) value { return value{lo: v} }

func (a value) cmp(b value) int {
	if c := cmp.Compare(a.hi, b.hi); c != 0 {
		return c
	}
	return cmp.Compare(a.lo, b.lo)
}

// minus returns a-b; b must not be greater.
func (a value) minus(b value) value {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	return value{a.hi - b.hi - borrow, lo}
}

// next returns a+1; a must not be maxWide.
func (a value) next() value {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return value{a.hi + carry, lo}
}

// edge is a node of the graph, or where a way ends.
type edge int

const (
	accept edge = -1
	reject edge = -2
	ask    edge = -3 // accept or reject: user space must say
)

// piece is a stretch of values, from behind the piece before it up to upper, and the edge that they take. The last piece of a
// node ends at the greatest value that its field can have.
type piece struct {
	upper value
	to    edge
}

// appendPiece adds p behind d and joins it to the last piece if that has the same edge.
func appendPiece(d []piece, p piece) []piece {
	if last := len(d) - 1; last >= 0 && d[last].to == p.to {
		d[last].upper = p.upper
		return d
	}
	return append(d, p)
}

// span is the values that a field can have, as its test counts them: from base on to base+last. Those that are loaded count
// from 0.
type span struct{ base, last value }

// outcomes cuts a span into at most three stretches and says for which of them the test holds.
func outcomes(t *filter.Test, s span) []outcome {
	c := value{t.High, t.Low}
	switch {
	case t.Negative || c.cmp(s.base) < 0:
		return []outcome{{s.last, t.Holds[2]}}
	case c.minus(s.base).cmp(s.last) > 0:
		return []outcome{{s.last, t.Holds[0]}}
	}
	at := c.minus(s.base)
	var d []outcome
	if at != (value{}) {
		d = append(d, outcome{at.minus(narrow(1)), t.Holds[0]})
	}
	d = append(d, outcome{at, t.Holds[1]})
	if at != s.last {
		d = append(d, outcome{s.last, t.Holds[2]})
	}
	return d
}

// outcome says for a stretch of values, from behind the one before it up to upper, whether a test holds.
type outcome struct {
	upper value
	holds bool
}

// holdsFor says whether a test holds for a value.
func holdsFor(t *filter.Test, v value) bool {
	return outcomes(t, span{base: v})[0].holds
}
