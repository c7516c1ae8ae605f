package filter

import "testing"

// TestAgree: nothing is measured that gives another answer.
func TestAgree(t *testing.T) {
	packets := Traffic(4096, 1)
	for x := range 40 {
		packets = append(packets, Hot(byte(x)))
	}
	for _, name := range Names {
		want := make([]bool, len(packets))
		for i, e := range Engines {
			match, err := e.Make(name)
			if err != nil {
				t.Fatalf("%s: %v", e.Name, err)
			}
			hits := make([]bool, len(packets))
			match(packets, hits)
			if i == 0 {
				want = hits
			}
			for j := range hits {
				if hits[j] != want[j] {
					t.Fatalf("%s: %s says %t of packet %d, and %s %t: %x", name, e.Name, hits[j], j, Engines[0].Name, want[j], packets[j].Raw)
				}
			}
		}
		n := 0
		for _, hit := range want {
			if hit {
				n++
			}
		}
		t.Logf("%s: %d of %d packets match", name, n, len(packets))
		if n*50 < len(packets) || n*2 > len(packets) {
			t.Errorf("%s: %d of %d match, which compares nothing", name, n, len(packets))
		}
	}
}

// TestWeirDoesNotAllocate, in the loops that are measured.
func TestWeirDoesNotAllocate(t *testing.T) {
	packets := Traffic(256, 2)
	hits := make([]bool, len(packets))
	for _, name := range Names {
		for _, e := range Engines[:3] {
			match, err := e.Make(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(10, func() { match(packets, hits) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", e.Name, name, n)
			}
		}
	}
}
