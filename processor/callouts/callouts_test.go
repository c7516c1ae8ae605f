package callouts

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Each type is made under the name that a policy gives it, hands on what decoding says, and has a manual.
func TestFactories(t *testing.T) {
	for kind, factory := range Factories() {
		broken := errors.New("broken")
		if c, err := factory("x", func(any) error { return broken }); c != nil || !errors.Is(err, broken) {
			t.Errorf("%s: %v, %v", kind, c, err)
		}
		c, err := factory("x", func(any) error { return nil })
		if err == nil && c.Name() != "x" {
			t.Errorf("%s: name %q", kind, c.Name())
		}
		manual, err := os.ReadFile(kind + "/README.md")
		if err != nil {
			t.Error(err)
		}
		for _, section := range []string{"# " + kind, "## Name", "## Description", "## Syntax", "## Stats", "## Examples", "## Bugs"} {
			if !strings.Contains(string(manual), section+"\n") {
				t.Errorf("%s: the manual lacks %q", kind, section)
			}
		}
	}
}
