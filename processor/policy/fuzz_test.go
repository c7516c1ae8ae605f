package policy

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Any text is a policy or *Errors with places inside the text; never a panic.
func FuzzPolicy(f *testing.F) {
	f.Add(whole)
	for _, s := range trees {
		f.Add("version: 1\n" + s)
	}
	f.Add("version: 1\nfilters: [{name: a, layer: ale-flow-established, weight: {class: 3}, conditions: [{field: tcp-flags, match: flags-all-set, value: [syn]}, " +
		"{field: ip-remote-address, match: range, value: [10.0.0.1, 10.0.0.9]}, {field: ip-local-port, value: 7}], action: block, reason: x}]\n")
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatal("no examples", err)
	}
	for _, path := range examples {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, err := Parse("p", []byte(src), testOptions)
		if err == nil {
			if file.Policy == nil || len(file.Handles) == 0 || file.Version != 1 {
				t.Errorf("a policy without its parts: %+v", file)
			}
			file.Lint()
			return
		}
		var all *Errors
		if !errors.As(err, &all) || len(all.List) == 0 || len(all.List) > errorsShown {
			t.Fatalf("error %#v", err)
		}
		lines := newSource("p", src).lines
		for _, e := range all.List {
			if e.Line < 0 || e.Line > len(lines)+1 || e.Line > 0 && e.Column < 1 || e.Msg == "" {
				t.Errorf("%d lines, error at %d:%d: %s", len(lines), e.Line, e.Column, e.Msg)
			}
		}
	})
}
