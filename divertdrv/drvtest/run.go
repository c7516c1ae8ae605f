package drvtest

import (
	"slices"
	"strings"
	"testing"
)

// TestDriver runs every rule as a subtest, and pins which were skipped.
func TestDriver(t *testing.T, s Setup) {
	has := survey(t, &s)
	var skipped []string
	for _, r := range Rules() {
		lack := has.lacks(&r)
		if lack != "" {
			skipped = append(skipped, r.Name)
		}
		t.Run(r.Name, func(t *testing.T) {
			if lack != "" {
				t.Skipf("%s: the driver's world lacks: %s", r.Ref, lack)
			}
			r.run(t, &s, has)
		})
	}
	t.Run("skips", func(t *testing.T) {
		pinned := s.skips()
		missing, extra := difference(skipped, pinned), difference(pinned, skipped)
		if len(missing) > 0 {
			t.Errorf("skipped, and not in Setup.Skips:\n%s", strings.Join(missing, "\n"))
		}
		if len(extra) > 0 {
			t.Errorf("in Setup.Skips, and no longer skipped (or no rule):\n%s", strings.Join(extra, "\n"))
		}
	})
	if s.Docs != "" {
		t.Run("docs", func(t *testing.T) { checkDocs(t, s.Docs, newWorld(t, &s).Driver.Name(), skipped) })
	}
}

// skips are Setup.Skips with groups written out.
func (s *Setup) skips() (names []string) {
	for _, name := range s.Skips {
		group, whole := strings.CutSuffix(name, "*")
		if !whole {
			names = append(names, name)
			continue
		}
		for _, r := range Rules() {
			if strings.HasPrefix(r.Name, group) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

// difference returns what is in a and not in b.
func difference(a, b []string) (only []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			only = append(only, s)
		}
	}
	return only
}

// Result is what Check found.
type Result struct {
	Failed  map[string][]string // by rule: what it complained about
	Skipped map[string]string   // by rule: what the World lacks for it
}

// Check runs the rules of these names, or all, outside of a test and one after the other, for whoever wants to know which rules
// a driver breaks. What is wrong before any rule can run is under the name "survey".
func Check(s Setup, names ...string) Result {
	res := Result{Failed: map[string][]string{}, Skipped: map[string]string{}}
	var has abilities
	if broken := record(func(t T) { has = survey(t, &s) }); broken != nil {
		res.Failed["survey"] = broken
	}
	for _, r := range Rules() {
		if len(names) > 0 && !slices.Contains(names, r.Name) {
			continue
		}
		if lack := has.lacks(&r); lack != "" {
			res.Skipped[r.Name] = string(lack)
			continue
		}
		if broken := record(func(t T) { r.run(t, &s, has) }); broken != nil {
			res.Failed[r.Name] = broken
		}
	}
	return res
}
