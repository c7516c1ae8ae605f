package reason

import "testing"

func TestNamesAreUniqueAndComplete(t *testing.T) {
	seen := map[string]Cause{}
	for _, c := range All() {
		n := c.String()
		if n == "" {
			t.Errorf("cause %d has no name", c)
		}
		if other, dup := seen[n]; dup {
			t.Errorf("causes %d and %d are both %q", other, c, n)
		}
		seen[n] = c
	}
	if got := Cause(63).String(); got != "cause(63)" {
		t.Errorf("unknown cause prints %q", got)
	}
}
