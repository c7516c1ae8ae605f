package simulation

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// TestWorlds runs random worlds, each twice: no rule is broken, and both runs are the same to the last byte and nanosecond.
func TestWorlds(t *testing.T) {
	var total WorldCounts
	for seed := range seeds(*worldsFlag, 20, 1000) {
		a, b := RunWorld(seed, Options{}), RunWorld(seed, Options{})
		total.Add(a.Counts)
		if a.Err != nil {
			t.Fatalf("%v\n\nto see it again: go test ./internal/simulation -run TestWorlds -seed %d\n\n%s",
				a.Err, seed, strings.Join(RunWorld(seed, Options{Trace: true}).Trace, "\n"))
		}
		if a.Digest != b.Digest {
			t.Fatalf("seed %d: two runs differ\n%s", seed, difference(seed))
		}
	}
	t.Logf("%+v", total)
	if single(t) {
		t.Log(strings.Join(RunWorld(*seedFlag, Options{Trace: true}).Trace, "\n"))
		return
	}
	for i, n := range total.all() {
		if *n == 0 && total.Worlds >= 20 && *firstFlag == 1 {
			t.Errorf("count %d is 0: the worlds do not try everything: %+v", i, total)
		}
	}
}

// difference runs a world until two traces differ, and shows where.
func difference(seed uint64) string {
	first := RunWorld(seed, Options{Trace: true}).Trace
	for range 100 {
		again := RunWorld(seed, Options{Trace: true}).Trace
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

// TestWorldsFindMutants: what the laws of a world can tell without a model is told, within so many worlds.
func TestWorldsFindMutants(t *testing.T) {
	const within = 40
	told := map[string]bool{
		"loses a packet that is injected": true, "loses a packet that is released": true, "lets a packet pass twice": true,
		"injects twice": true, "passes in the wrong order": true,
	}
	for _, m := range mutants {
		if !told[m.name] {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			o := Options{Wrap: func(d divertdrv.Driver) divertdrv.Driver { return mutantDriver{d, m.does} }}
			for seed := range uint64(within) {
				if err := RunWorld(seed, o).Err; err != nil {
					t.Logf("found by world %d of %d: %v", seed+1, within, err)
					return
				}
			}
			t.Errorf("%d worlds do not find it", within)
		})
	}
}

// TestWorldsNoticeChance: a driver whose luck no seed decides gives runs that differ.
func TestWorldsNoticeChance(t *testing.T) {
	o := Options{Wrap: func(d divertdrv.Driver) divertdrv.Driver {
		return mutantDriver{d, changes{complete: func(c divertdrv.Conn, b *divertdrv.Batch) error {
			if p := &b.Packets()[0]; !b.IsHeld(0) && rand.IntN(2) == 0 {
				p.Set(divertdrv.Drop, reason.Overload)
			}
			return c.Complete(b)
		}}}
	}}
	for seed := range uint64(20) {
		if RunWorld(seed, o).Digest != RunWorld(seed, o).Digest {
			return
		}
	}
	t.Error("20 worlds over a driver that drops by chance were the same twice")
}
