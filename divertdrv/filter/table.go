package filter

import (
	"math"
	"math/bits"
)

// maxBuckets is the most that a table has; each takes two bytes.
const maxBuckets = 256

// table finds the edge of a value among pieces. The values from base on are cut into buckets of equal width, so that few pieces
// are left to search, often one; the search does not branch by the value. Behind them is one bucket for all that lies beyond,
// and before base too: there the first and the last piece have the same edge.
type table struct {
	base   uint64
	shift  uint8    // a bucket is 1<<shift values wide
	half   uint64   // the first step of the search from a bucket's first piece to that of the value, a power of two; 0: none
	first  []uint16 // by bucket: the piece that its lowest value is in
	upper  []uint64 // by piece, and behind that as many as the search may look at
	edges  []uint16 // by piece
	other  uint16   // the edge of the second piece
	member []uint8  // by piece, iff there are but two edges: 1 where the edge is other, so that the table is a set
}

// newTable makes a table of at least two pieces. shift is where the field stands in what is loaded.
func newTable(pieces []piece, shift uint8) (t table) {
	last := len(pieces) - 1
	for _, p := range pieces {
		t.upper, t.edges = append(t.upper, p.upper.lo<<shift), append(t.edges, p.edge)
	}
	t.upper[last] = math.MaxUint64
	if pieces[0].edge == pieces[last].edge {
		t.base = t.upper[0] + 1
	}
	if !t.cut(last) {
		t.base = 0 // the buckets would go past the greatest value
		t.cut(last)
	}
	for b := range (t.upper[last-1]-t.base)>>t.shift + 1 {
		lo := t.base + b<<t.shift
		t.bucket(lo, lo+(1<<t.shift-1))
	}
	t.first = append(t.first, uint16(last))
	for range 2 * t.half {
		t.upper = append(t.upper, math.MaxUint64)
	}
	t.setMembers()
	return t
}

// setMembers sets other, and member if there are but two edges.
func (t *table) setMembers() {
	t.other = t.edges[1]
	member := make([]uint8, len(t.edges))
	for i, edge := range t.edges {
		switch edge {
		case t.other:
			member[i] = 1
		case t.edges[0]:
		default:
			return
		}
	}
	t.member = member
}

// cut chooses the width of buckets, and says whether the values before base are none of theirs.
func (t *table) cut(last int) bool {
	buckets := min(maxBuckets, 2<<bits.Len(uint(last)))
	reach := t.upper[last-1] - t.base // the highest value that a bucket must hold, from base
	t.shift = uint8(max(0, bits.Len64(reach)-bits.Len(uint(buckets-1))))
	return t.base <= math.MaxUint64-(reach|(1<<t.shift-1))
}

// bucket appends the bucket of the values lo to hi.
func (t *table) bucket(lo, hi uint64) {
	from := uint16(0)
	if n := len(t.first); n > 0 {
		from = t.first[n-1]
	}
	for t.upper[from] < lo {
		from++
	}
	to := from
	for t.upper[to] < hi {
		to++
	}
	t.first = append(t.first, from)
	t.half = max(t.half, 1<<bits.Len16(to-from)>>1)
}

// find returns the edge of v.
func (t *table) find(v uint64) uint16 { return t.edges[t.search(v)] }

// search returns the piece of v.
func (t *table) search(v uint64) uint64 {
	at := uint64(t.first[min((v-t.base)>>(t.shift&63), uint64(len(t.first)-1))])
	for half := t.half; half > 0; half >>= 1 {
		_, less := bits.Sub64(t.upper[at+half-1], v, 0)
		at += half & -less
	}
	return at
}

// wideTable finds the edge of a 128-bit value.
type wideTable struct {
	upper []u128
	edges []uint16
}

func newWideTable(pieces []piece) (t wideTable) {
	for _, p := range pieces {
		t.upper, t.edges = append(t.upper, p.upper), append(t.edges, p.edge)
	}
	return t
}

func (t *wideTable) find(v u128) uint16 {
	at, n := 0, len(t.upper)
	for n > 1 {
		half := n / 2
		if t.upper[at+half-1].less(v) {
			at += half
		}
		n -= half
	}
	return t.edges[at]
}
