package simulation

import (
	"slices"
	"strings"
	"testing"
)

// TestWorlds runs random worlds, each twice: no rule is broken, and both runs are the same to the last byte and nanosecond.
func TestWorlds(t *testing.T) {
	var total WorldCounts
	for seed := range seeds(*worldsFlag, 20, 1000) {
		a, b := RunWorld(seed, false), RunWorld(seed, false)
		total.Add(a.Counts)
		if a.Err != nil {
			t.Fatalf("%v\n\nto see it again: go test ./internal/simulation -run TestWorlds -seed %d\n\n%s",
				a.Err, seed, strings.Join(RunWorld(seed, true).Trace, "\n"))
		}
		if a.Digest != b.Digest {
			t.Fatalf("seed %d: two runs differ\n%s", seed, difference(seed))
		}
	}
	t.Logf("%+v", total)
	if single(t) {
		t.Log(strings.Join(RunWorld(*seedFlag, true).Trace, "\n"))
		return
	}
	for i, n := range total.all() {
		if *n == 0 && total.Worlds >= 20 {
			t.Errorf("count %d is 0: the worlds do not try everything: %+v", i, total)
		}
	}
}

// difference runs a world until two traces differ, and shows where.
func difference(seed uint64) string {
	first := RunWorld(seed, true).Trace
	for range 100 {
		again := RunWorld(seed, true).Trace
		if slices.Equal(first, again) {
			continue
		}
		i := 0
		for i < min(len(first), len(again)) && first[i] == again[i] {
			i++
		}
		return "one: " + strings.Join(first[max(0, i-5):min(len(first), i+3)], "\n     ") +
			"\nthe other: " + strings.Join(again[i:min(len(again), i+3)], "\n     ")
	}
	return "(not seen again in 100 runs)"
}
