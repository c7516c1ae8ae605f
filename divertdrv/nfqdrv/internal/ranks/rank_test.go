package ranks

import (
	"testing"

	"pgregory.net/rapid"
)

func TestRankOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		priority := rapid.Int16Range(-PriorityMax, PriorityMax)
		opening := rapid.Uint64Range(1, 1<<openingBits-1)
		p, q, m, n := priority.Draw(t, "p"), priority.Draw(t, "q"), opening.Draw(t, "m"), opening.Draw(t, "n")
		a, b := newRank(p, m), newRank(q, n)
		if a.Priority() != p || a.Opening() != m {
			t.Fatalf("%d#%d became %v", p, m, a)
		}
		lower := p < q || p == q && m < n // of the older of equals the packets come later
		if a.Sees(b) != lower {
			t.Fatalf("%v sees what %v injected: %v", a, b, a.Sees(b))
		}
		if a == 0 {
			t.Fatal("the zero rank was given away")
		}
	})
}

func TestNobodySeesOwnPackets(t *testing.T) {
	if r := newRank(3, 4); r.Sees(r) {
		t.Fatal("it does")
	}
}
