package policy

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/weirnet/weir/processor"
)

// The reference has a line for every key, with the words and bounds that the schema has.
func TestReferenceHasEveryKey(t *testing.T) {
	b, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{plans: map[reflect.Type]*plan{}}
	sections := strings.Split(string(b), "\n## ")
	for section, spec := range map[string]any{
		"Form": document{}, "Driver": driverSpec{}, "Handles": handleSpec{}, "Sublayers": sublayerSpec{}, "Filters": filterSpec{},
		"Callouts": calloutSpec{}, "Rules": rulesSpec{}, "Conditions": conditionSpec{}, "Sets": setSpec{},
	} {
		text := ""
		for _, s := range sections {
			if strings.HasPrefix(s, section+"\n") {
				text = s
			}
		}
		p := d.planOf(reflect.TypeOf(spec))
		for _, key := range p.names {
			_, line, ok := strings.Cut(text, "\n| `"+key+"` |")
			line, _, _ = strings.Cut(line, "\n")
			if !ok {
				t.Errorf("section %s has no line for %s", section, key)
			}
			f := p.fields[key]
			for _, word := range append(f.oneof, f.min, f.max) {
				if !strings.Contains(line, word) {
					t.Errorf("section %s, key %s: no word of %s", section, key, word)
				}
			}
			if f.required != strings.Contains(line, "| required |") {
				t.Errorf("section %s, key %s: required %v", section, key, f.required)
			}
		}
		if n := strings.Count(text, "\n| `"); n < len(p.names) {
			t.Errorf("section %s has %d lines", section, n)
		}
	}
	for _, l := range processor.LayerNames() {
		if !strings.Contains(string(b), "\n| `"+l+"` |") {
			t.Errorf("no line for layer %s", l)
		}
	}
	for _, f := range processor.FieldNames() {
		if !strings.Contains(string(b), "\n| `"+f+"` |") {
			t.Errorf("no line for field %s", f)
		}
	}
	for what, n := range map[string]int{"filters": processor.FiltersMax, "sublayers": SublayersMax, "callouts": CalloutsMax, "handles": HandlesMax, "sets": SetsMax} {
		s := fmt.Sprint(n)
		if len(s) > 3 {
			s = s[:len(s)-3] + "," + s[len(s)-3:]
		}
		if want := fmt.Sprintf("\n| %s | %s |", what, s); !strings.Contains(string(b), want) {
			t.Errorf("limits lack %q", want)
		}
	}
}
