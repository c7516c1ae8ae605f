package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Each value is shown with where it comes from: the policy, a file that it includes, a flag, a variable, or nowhere.
func TestConfigShow(t *testing.T) {
	t.Setenv("WEIR_LOG_LEVEL", "debug")
	t.Setenv("WEIR_SEED", "5")
	for name, args := range map[string]string{
		"given":     "--seed 7 -n 100",
		"effective": "--effective --seed 7 -n 100",
		"other":     "--effective -r capture.pcapng --local 10.0.0.1,10.0.0.2",
		"json":      "--effective --seed 7 --json",
	} {
		if name == "other" {
			t.Setenv("WEIR_SEED", "") // of a driver that is not taken then
		}
		o := weir(t, "", append([]string{"config", "show", "testdata/config/policy.yaml"}, strings.Fields(args)...)...)
		if o.status != exitDone || o.err != "" {
			t.Errorf("%s: %+v", name, o)
		}
		golden(t, "config/"+name+".txt", filepath.ToSlash(o.out))
		t.Setenv("WEIR_SEED", "5")
	}
}

func TestConfigRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"config show testdata/broken.yaml": "unknown key",
		"config show tcp":                  "is a filter, and has no settings",
		"config show":                      "the policy file is missing",
		"config shwo":                      "did you mean show?",
	} {
		if o := weir(t, "", strings.Fields(args)...); o.status != exitUsage || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%s: %+v", args, o)
		}
	}
	t.Setenv("WEIR_PACKETS", "many")
	for _, command := range []string{"run", "config show"} {
		o := weir(t, "", append(strings.Fields(command), "testdata/config/policy.yaml")...)
		if o.status != exitUsage || !strings.Contains(o.err, "variable WEIR_PACKETS: ") {
			t.Errorf("%s: %+v", command, o)
		}
	}
}

// A variable does what its flag does.
func TestEnvironment(t *testing.T) {
	t.Setenv("WEIR_PACKETS", "30")
	t.Setenv("WEIR_LOG_LEVEL", "error")
	t.Setenv("WEIR_SEED", "")
	r, o := run(t, exitDone, "true")
	if r.Received != 30 || o.err != "" {
		t.Errorf("received %d: %s", r.Received, o.err)
	}
	if r, _ := run(t, exitDone, "true", "--packets", "20"); r.Received != 20 {
		t.Errorf("a flag does not override its variable: %d", r.Received)
	}
}
