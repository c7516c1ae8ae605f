package filter

import (
	"math"
	"math/bits"
)

// piece is a stretch of a field's values, from behind the piece before it up to upper, and the edge that they take. Values
// are counted from the least of the field's domain.
type piece struct {
	upper u128
	edge  uint16
}

// domain returns what a field's values are counted from, and how far they go.
func (id fieldID) domain() (lo number, last u128) {
	switch id {
	case fTimestamp, fPriority:
		return signed(math.MinInt64), u128{lo: math.MaxUint64}
	case fIPSrcAddr, fIPDstAddr:
		return unsigned(mappedPrefix), u128{lo: math.MaxUint32}
	case fEndpointID, fParentEndpointID:
		return number{}, u128{lo: math.MaxUint64}
	case fIPv6SrcAddr, fIPv6DstAddr, fLocalAddr, fRemoteAddr:
		return number{}, maxU128
	}
	return number{}, u128{lo: math.MaxUint32}
}

// decision returns the pieces of a comparison: one, two, or three of which the outer have the same edge.
func (c *comparison) decision(succ, fail uint16) []piece {
	lo, last := c.field.domain()
	less, equal := c.op.holds(-1), c.op.holds(0) // how the field's values below and at the constant compare
	greater := c.op.holds(1)
	edge := func(holds bool) uint16 {
		if holds {
			return succ
		}
		return fail
	}
	if c.value.cmp(lo) < 0 {
		return []piece{{last, edge(greater)}}
	}
	at, exact := ordinal(c.value, lo)
	if at.cmp(last) > 0 {
		return []piece{{last, edge(less)}}
	}
	var d []piece
	if at != (u128{}) {
		d = append(d, piece{at.prev(), edge(less)})
	}
	if exact {
		d = appendPiece(d, piece{at, edge(equal)})
		if at != last {
			d = appendPiece(d, piece{last, edge(greater)})
		}
		return d
	}
	return appendPiece(d, piece{last, edge(greater)})
}

// ordinal counts v from lo, which is not above it. -0 is not exact: it lies just below the 0 whose place it is given.
func ordinal(v, lo number) (at u128, exact bool) {
	var over uint64
	switch {
	case !lo.neg:
		at.lo, over = bits.Sub64(v.mag.lo, lo.mag.lo, 0)
		at.hi = v.mag.hi - over
	case v.neg:
		at.lo = lo.mag.lo - v.mag.lo
	default:
		at.lo, over = bits.Add64(lo.mag.lo, v.mag.lo, 0)
		at.hi = v.mag.hi + over
	}
	return at, !v.negativeZero()
}

// appendPiece adds p behind d and joins it to the last piece if that has the same edge.
func appendPiece(d []piece, p piece) []piece {
	if last := len(d) - 1; last >= 0 && d[last].edge == p.edge {
		d[last].upper = p.upper
		return d
	}
	return append(d, p)
}

// absorb replaces each piece of d that leads to a test of the same field by what that test decides, so that a chain of
// comparisons of one field becomes one step. then returns the pieces of such a test, nil for any other edge.
// The pieces of d are not kept.
func absorb(d []piece, then func(edge uint16) []piece) []piece {
	n := len(d)
	for _, p := range d {
		n += len(then(p.edge))
	}
	out := d[:0]
	if n > len(d) {
		out = make([]piece, 0, n)
	}
	var from u128 // least value of the piece
	for _, p := range d {
		inner := then(p.edge)
		if inner == nil {
			out = appendPiece(out, p)
		}
		for _, q := range inner {
			if q.upper.less(from) {
				continue
			}
			if !q.upper.less(p.upper) {
				out = appendPiece(out, piece{p.upper, q.edge})
				break
			}
			out = appendPiece(out, q)
		}
		if p.upper != maxU128 {
			from = p.upper.next()
		}
	}
	return out
}
