package windrv

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
)

// requests tells a pace how n requests went, and returns the chunk that it comes to.
func requests(p *pace, n int, ok bool) int {
	for range n {
		p.sent(ok)
	}
	return p.chunk()
}

// Chunks double up to what a request holds; a failure has packets go alone, twice as long when it comes again soon, and each
// failure of a packet that goes alone starts that anew.
func TestPace(t *testing.T) {
	var p pace
	for i, step := range []struct {
		requests int
		ok       bool
		chunk    int
	}{
		{0, true, 1},
		{1, true, 2},
		{6, true, 128},
		{1, true, divertdrv.BatchMax},
		{100, true, divertdrv.BatchMax},
		{1, false, 1},
		{aloneMin, true, 1},
		{1, true, 2},
		{1, false, 1}, // again, before chunks were full
		{2 * aloneMin, true, 1},
		{1, true, 2},
		{1, false, 1},
		{4*aloneMin - 1, true, 1},
		{1, false, 1}, // of one that goes alone
		{4 * aloneMin, true, 1},
		{8, true, divertdrv.BatchMax},
		{1, true, divertdrv.BatchMax}, // full: what was is forgotten
		{1, false, 1},
		{aloneMin, true, 1},
		{1, true, 2},
	} {
		if got := requests(&p, step.requests, step.ok); got != step.chunk {
			t.Fatalf("step %d: chunks of %d, want %d", i, got, step.chunk)
		}
	}
	for range 30 {
		p.sent(false)
		requests(&p, p.alone, true)
	}
	if p.penance != aloneMax {
		t.Errorf("after many failures %d go alone, want %d", p.penance, aloneMax)
	}
}
