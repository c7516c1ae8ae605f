package filter

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTable compares with a search from the start.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Bounds that stand close together, far apart, and at both ends of the values.
		bound := rapid.OneOf(
			rapid.Uint64(), rapid.Uint64Range(0, 300), rapid.Uint64Range(0xffff_0a00_0000, 0xffff_0a00_ffff),
			rapid.Uint64Range(math.MaxUint64-300, math.MaxUint64-1), rapid.Uint64Range(0, math.MaxUint32))
		bounds := rapid.SliceOfNDistinct(bound, 2, 500, rapid.ID).Draw(t, "bounds")
		slices.Sort(bounds)
		var pieces []piece
		for i, b := range append(bounds, math.MaxUint64) {
			pieces = append(pieces, piece{u128{lo: b}, uint16(i % 3)})
		}
		table := newTable(pieces, 0)
		ask := func(v uint64) {
			at := slices.IndexFunc(pieces, func(p piece) bool { return v <= p.upper.lo })
			if got := table.find(v); got != pieces[at].edge {
				t.Fatalf("%d: got %d, want %d", v, got, pieces[at].edge)
			}
		}
		for _, b := range bounds {
			ask(b - 1)
			ask(b)
			ask(b + 1)
		}
		for range 20 {
			ask(bound.Draw(t, "value"))
		}
		ask(0)
		ask(math.MaxUint64)
	})
}
