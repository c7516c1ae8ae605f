package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	known := []string{"filters", "sublayers", "handles", "callouts", "driver", "version", "when", "weight"}
	for word, want := range map[string]string{
		"filtesr": "filters", "filter": "filters", "Filters": "filters", "sublayer": "sublayers", "wieght": "weight", "whne": "when",
		"colours": "", "x": "", "": "", "drivers": "driver", strings.Repeat("filters", 20): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := nearest("a", []string{strings.Repeat("a", wordMax+1)}); got != "" {
		t.Errorf("got %q", got)
	}
	if got := remedy("x", slices.Repeat([]string{"long"}, 30)); got != "want "+strings.Repeat("long, ", 20)+"…" {
		t.Errorf("got %q", got)
	}
}

// typos is the number of steps of the shortest way from a to b, where each step changes one place.
func TestTyposIsADistance(t *testing.T) {
	word := rapid.SliceOfN(rapid.SampledFrom([]rune("abé")), 0, 8)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := word.Draw(rt, "a"), word.Draw(rt, "b")
		if got, want := typos(a, b), slowTypos(a, b); got != want {
			rt.Fatalf("%q to %q: %d, want %d", string(a), string(b), got, want)
		}
		if typos(a, b) != typos(b, a) {
			rt.Fatalf("%q and %q: not the same both ways", string(a), string(b))
		}
	})
}

// slowTypos is the definition, by recursion from the end.
func slowTypos(a, b []rune) int {
	if len(a) == 0 || len(b) == 0 {
		return len(a) + len(b)
	}
	x, y := a[:len(a)-1], b[:len(b)-1]
	last := 1
	if a[len(a)-1] == b[len(b)-1] {
		last = 0
	}
	best := min(slowTypos(x, y)+last, slowTypos(x, b)+1, slowTypos(a, y)+1)
	if len(x) > 0 && len(y) > 0 && a[len(a)-1] == b[len(b)-2] && a[len(a)-2] == b[len(b)-1] {
		best = min(best, slowTypos(x[:len(x)-1], y[:len(y)-1])+1)
	}
	return best
}
