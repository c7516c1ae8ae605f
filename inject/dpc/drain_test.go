package dpc

import (
	"fmt"
	"testing"
)

func TestDrainNow(t *testing.T) {
	const limit = 4
	tests := []struct {
		own         bool
		importance  Importance
		depth, rate int
		want        bool
	}{
		// The own processor's queue: all but Low; Low if the queue is deeper than the limit or requests are rare.
		{true, Low, 1, rateMin, false},
		{true, Low, limit, rateMin, false},
		{true, Low, limit + 1, rateMin, true},
		{true, Low, 1, rateMin - 1, true},
		{true, Low, 1, 0, true},
		{true, Low, limit + 1, 0, true},
		{true, Medium, 1, rateMin, true},
		{true, MediumHigh, 1, rateMin, true},
		{true, High, 1, rateMin, true},
		// Another's: MediumHigh and High, or deeper than the limit; the rate does not count.
		{false, Low, 1, rateMin, false},
		{false, Low, 1, 0, false},
		{false, Low, limit, 0, false},
		{false, Low, limit + 1, rateMin, true},
		{false, Medium, 1, 0, false},
		{false, Medium, limit, rateMin, false},
		{false, Medium, limit + 1, rateMin, true},
		{false, MediumHigh, 1, rateMin, true},
		{false, High, 1, rateMin, true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("own=%v %v depth=%d rate=%d", tt.own, tt.importance, tt.depth, tt.rate), func(t *testing.T) {
			if got := drainNow(tt.own, tt.importance, tt.depth, limit, tt.rate); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPacingNext(t *testing.T) {
	tests := []struct {
		name             string
		before           pacing
		arrived, waiting int
		busy             bool
		after            pacing
		drain            bool
	}{
		{"nothing", pacing{4, 0, 20}, 0, 0, false, pacing{4, 0, 19}, false},
		{"rate is half new, half old", pacing{4, 10, 20}, 30, 0, false, pacing{4, 20, 19}, false},
		{"left waiting, rare: drain, limit falls", pacing{4, 0, 5}, 1, 1, false, pacing{3, 0, 20}, true},
		{"left waiting, just below ideal", pacing{4, 19, 20}, 19, 1, false, pacing{3, 19, 20}, true},
		{"left waiting, ideal rate: drain, limit stays", pacing{4, 20, 5}, 20, 1, false, pacing{4, 20, 20}, true},
		{"limit never falls below 1", pacing{1, 0, 20}, 1, 1, false, pacing{1, 0, 20}, true},
		{"a drain is on: as if nothing waited", pacing{3, 0, 20}, 1, 1, true, pacing{3, 0, 19}, false},
		{"after 20 calm ticks the limit rises", pacing{2, 0, 1}, 0, 0, false, pacing{3, 0, 20}, false},
		{"limit never rises above 4", pacing{4, 0, 1}, 0, 0, false, pacing{4, 0, 20}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after, drain := tt.before.next(tt.arrived, tt.waiting, tt.busy)
			if after != tt.after || drain != tt.drain {
				t.Errorf("got  %+v drain=%v\nwant %+v drain=%v", after, drain, tt.after, tt.drain)
			}
		})
	}
}

func TestPacingStartsWithTheReactOSValues(t *testing.T) {
	if got, want := newPacing(), (pacing{depthLimit: 4, calm: 20}); got != want || rateMin != 3 || rateIdeal != 20 {
		t.Errorf("got %+v, minimum rate %d, ideal rate %d; want %+v, 3, 20", got, rateMin, rateIdeal, want)
	}
}
