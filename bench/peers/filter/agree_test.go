package filter

import (
	"testing"

	"github.com/weirnet/weir/bench/workload"
)

// TestAgree: nothing is measured that gives another answer.
func TestAgree(t *testing.T) {
	for _, tt := range []struct {
		name    string
		traffic *Traffic
	}{
		{"mixed", workload.Mixed(4096, 1)},
		{"mixed otherwise", workload.Mixed(1000, 2)},
		{"hit", workload.Hot(19, 70)},
		{"miss", workload.Hot(39, 3)},
	} {
		for _, name := range workload.FilterNames {
			t.Run(tt.name+"/"+string(name), func(t *testing.T) { agree(t, name, tt.traffic) })
		}
	}
}

func agree(t *testing.T, name Name, traffic *Traffic) {
	var want []bool
	for _, e := range Engines {
		match, err := e.Make(name)
		if err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		hits := make([]bool, len(traffic.Data))
		match(traffic, hits)
		if want == nil {
			want = hits
		}
		for i := range hits {
			if hits[i] != want[i] {
				t.Fatalf("%s says %t of packet %d, and %s %t: %x", e.Name, hits[i], i, Engines[0].Name, want[i], traffic.Raw[i])
			}
		}
	}
	if rate := Rate(want); len(want) > 100 && (rate < 0.02 || rate > 0.5) {
		t.Errorf("%.3f of the packets match, which compares little", rate)
	}
}

// TestWeirDoesNotAllocate, in the loops that are measured.
func TestWeirDoesNotAllocate(t *testing.T) {
	traffic := workload.Mixed(256, 2)
	hits := make([]bool, 256)
	for _, name := range workload.FilterNames {
		for _, e := range Engines[:3] {
			match, err := e.Make(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(10, func() { match(traffic, hits) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", e.Name, name, n)
			}
		}
	}
}
