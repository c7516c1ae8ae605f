package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// All errors at once, each with its place.
func TestCheckErrors(t *testing.T) {
	for _, name := range []string{"broken", "syntax", "doubtful"} {
		t.Run(name, func(t *testing.T) {
			path := "testdata/" + name + ".yaml"
			status := map[bool]int{true: exitDone, false: exitUsage}[name == "doubtful"]
			o := weir(t, "", "check", path)
			if o.status != status {
				t.Errorf("status %d, want %d", o.status, status)
			}
			golden(t, "check/"+name+".txt", filepath.ToSlash(o.out+o.err))
			o = weir(t, "", "check", path, "--json")
			if o.status != status || o.err != "" {
				t.Errorf("--json: status %d, want %d; stderr %q", o.status, status, o.err)
			}
			golden(t, "check/"+name+".json", filepath.ToSlash(o.out))
		})
	}
}

// A policy that check refuses, run refuses with the same words.
func TestRunRefusesWhatCheckRefuses(t *testing.T) {
	checked, ran := weir(t, "", "check", "testdata/broken.yaml"), weir(t, "", "run", "testdata/broken.yaml")
	if ran.status != exitUsage || ran.err != "weir: "+checked.err || ran.out != "" {
		t.Errorf("status %d:\n%s\ncheck:\n%s", ran.status, ran.err, checked.err)
	}
}

func TestCheckExamples(t *testing.T) {
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatal(err, examples)
	}
	for _, path := range examples {
		o := weir(t, "", "check", path)
		if o.status != exitDone || o.err != "" || !strings.HasPrefix(o.out, "ok: ") {
			t.Errorf("%s: status %d: %s%s", path, o.status, o.out, o.err)
		}
	}
}
