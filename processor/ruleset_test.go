package processor

import (
	"testing"

	"github.com/weirnet/weir/inject"
)

// Every rule can be set by its name, alone.
func TestSetRules(t *testing.T) {
	seen := map[Rules]string{}
	for _, rule := range RuleNames() {
		for i, setting := range SettingNames() {
			var r Rules
			if err := r.Set(rule, setting); err != nil {
				t.Fatal(err)
			}
			if (r == Rules{}) != (inject.Setting(i) == inject.Enforce) {
				t.Errorf("%s: %s gives %+v", rule, setting, r)
			}
			if other, taken := seen[r]; taken && i > 0 {
				t.Errorf("%s and %s set the same", rule, other)
			}
			seen[r] = rule
		}
	}
	var r Rules
	if r.Set("nonsense", "off") == nil || r.Set("inline-tcp", "nonsense") == nil || r != (Rules{}) {
		t.Errorf("nonsense was taken: %+v", r)
	}
}
