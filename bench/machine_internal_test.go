package bench

import "testing"

func TestExperimentOf(t *testing.T) {
	for version, want := range map[string][2]string{
		"go1.26.8":              {"go1.26.8", ""},
		"go1.26.8-X:simd":       {"go1.26.8", "simd"},
		"go1.25.1 X:jsonv2":     {"go1.25.1", "jsonv2"},
		"go1.26.8-X:simd,arena": {"go1.26.8", "simd,arena"},
	} {
		if v, x := experimentOf(version); v != want[0] || x != want[1] {
			t.Errorf("%s: %q and %q, want %q", version, v, x, want)
		}
	}
}
