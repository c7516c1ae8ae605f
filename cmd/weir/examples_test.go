package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor/callouts"
)

// examplesCopy is the examples and the captures that they read, where they may write.
func examplesCopy(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, folder := range []string{"examples", "testdata/captures"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS("../../"+folder)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "examples")
}

// broken are the violations of a run but those of time, which depend on what else the machine does.
func broken(r *daemon.Result) []daemon.ViolationResult {
	return slices.DeleteFunc(slices.Clone(r.Violations), func(v daemon.ViolationResult) bool { return v.Rule == "time-budget" })
}

// Every example policy is right, runs, does what its golden file says, and breaks none of the considerations.
func TestExamplePolicies(t *testing.T) {
	dir := examplesCopy(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	named := map[string]bool{}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		named[name] = true
		t.Run(name, func(t *testing.T) {
			o := weir(t, "", "check", path)
			if o.status != exitDone || o.err != "" || !strings.HasPrefix(o.out, "ok: ") {
				t.Errorf("check: status %d, %s%s", o.status, o.out, o.err)
			}
			r, o := run(t, exitDone, path, "--log-level", "warn")
			if o.err != "" || r.Received == 0 {
				t.Errorf("received %d: %s", r.Received, o.err)
			}
			golden(t, "examples/"+name+".json", masked(o.out))
			r, _ = run(t, exitDone, path, "--verify", "--log-level", "error")
			if v := broken(&r); v == nil || len(v) > 0 {
				t.Errorf("violations %+v", v)
			}
		})
	}
	for kind := range callouts.Factories() {
		if !named[kind] {
			t.Errorf("callout %s has no example", kind)
		}
	}
	checkTapped(t, filepath.Join(dir, "tap.pcapng"))
}

// checkTapped looks at the evidence that the example of the tap leaves: 100 packets, each before and after; 4 of them rewritten.
func checkTapped(t *testing.T, path string) {
	t.Helper()
	all, _ := packets(t, path)
	if len(all) != 200 {
		t.Fatalf("%d packets", len(all))
	}
	greeted := 0
	for _, p := range all {
		if bytes.Contains(p.data, []byte("HELLO WEIR")) {
			greeted++
		}
	}
	if greeted != 4 {
		t.Errorf("%d packets were seen changed, want 4", greeted)
	}
}

// A policy that breaks a consideration is told of, in the log when it first happens, and at the end; the status is 0.
func TestVerify(t *testing.T) {
	path := filepath.Join(examplesCopy(t), "verify", "policy.yaml")
	r, o := run(t, exitDone, path, "--verify", "--log-format", "json")
	want := []daemon.ViolationResult{{
		Rule: "block-at-established", Layer: "ale-flow-established", Filter: "too-late", Count: 5,
		Detail: "BLOCK at ale-flow-established needs a security reason", Remedy: "decide at ale-auth-connect or ale-auth-recv-accept",
	}}
	if !slices.Equal(r.Violations, want) || r.ViolationsMore != 0 || r.Pipeline["violations"] != 5 || r.Passed != r.Received {
		t.Errorf("%+v", r)
	}
	if n := strings.Count(o.err, `"code":"violation","rule":"block-at-established"`); n != 1 {
		t.Errorf("logged %d times, want once: %s", n, o.err)
	}
	golden(t, "verify.txt", masked(weir(t, "", "run", path, "--verify").out))
	golden(t, "verified.txt", masked(weir(t, "", "run", "tcp", "-r", captures+"http.pcap", "--verify").out))
	if o := weir(t, "", "check", path); o.status != exitDone || !strings.Contains(o.err, "(rule: block-at-established)") {
		t.Errorf("check: status %d, %s", o.status, o.err)
	}
	r, o = run(t, exitDone, path)
	if r.Violations != nil || strings.Contains(o.err, "violation") || strings.Contains(o.out, `"violations": [`) || r.Pipeline["violations"] != 5 {
		t.Errorf("without --verify: %+v", r)
	}
}

// What the policy says of a rule holds, unless the run verifies.
func TestRulesOfThePolicy(t *testing.T) {
	const text = `
version: 1
rules: {block-at-established: report}
filters:
  - {name: too-late, layer: ale-flow-established, when: "tcp.SrcPort == 80 or tcp.DstPort == 80", action: block}
`
	path := tempFile(t, "report.yaml", text)
	r, _ := run(t, exitDone, path, "-r", captures+"http.pcap")
	if r.Passed == r.Received || r.Pipeline["violations"] != 5 || r.Pipeline["aborted"] != 5 || r.Pipeline["refused"] == 0 {
		t.Errorf("reported only: %+v", r)
	}
	if r, _ = run(t, exitDone, path, "-r", captures+"http.pcap", "--verify"); r.Passed != r.Received || len(r.Violations) != 1 {
		t.Errorf("verified: %+v", r)
	}
}
