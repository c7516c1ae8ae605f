package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What init writes is a policy without warnings, which runs, and does what its comments say.
func TestInit(t *testing.T) {
	t.Chdir(t.TempDir())
	o := weir(t, "", "init")
	if o.status != exitDone || o.out != "wrote policy.yaml; next: weir check policy.yaml, weir run policy.yaml\n" {
		t.Fatalf("%+v", o)
	}
	b, err := os.ReadFile("policy.yaml")
	if err != nil || string(b) != starter || weir(t, "", "init", "-").out != starter {
		t.Errorf("%v: wrote\n%s", err, b)
	}
	if o := weir(t, "", "check", "--strict", "policy.yaml"); o.status != exitDone || o.err != "" {
		t.Errorf("%+v", o)
	}
	r, _ := run(t, exitDone, "policy.yaml", "--verify", "--log-level", "error")
	if r.Received != 1000 || r.Dropped == 0 || len(broken(&r)) > 0 {
		t.Errorf("%+v", r)
	}
	o = weir(t, "", "explain", "policy.yaml", "out tcp 10.0.0.1:5000 > 192.0.2.1:23 syn")
	if o.status != exitDone || !strings.Contains(o.out, "no-telnet") {
		t.Errorf("%+v", o)
	}
}

// A file that is there is left alone.
func TestInitOverwritesNothing(t *testing.T) {
	path := tempFile(t, "policy.yaml", "mine")
	o := weir(t, "", "init", path)
	if b, err := os.ReadFile(path); o.status != exitFailed || err != nil || string(b) != "mine" || !strings.Contains(o.err, "is there already, and is left alone") {
		t.Errorf("%+v, now %q, %v", o, b, err)
	}
	o = weir(t, "", "init", filepath.Join(t.TempDir(), "no", "policy.yaml"))
	if o.status != exitFailed || !strings.Contains(o.err, "make it first") {
		t.Errorf("%+v", o)
	}
}
