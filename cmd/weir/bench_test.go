package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirnet/weir/bench"
)

// benchQuick measures as little as can be.
func benchQuick(t *testing.T, args ...string) outcome {
	t.Helper()
	o := weir(t, "", append([]string{"bench", "--runs", "2", "--time", "1ms"}, args...)...)
	if o.status != exitDone {
		t.Fatalf("status %d: %s%s", o.status, o.out, o.err)
	}
	return o
}

func TestBenchTable(t *testing.T) {
	o := benchQuick(t, "filter", "dpc", "windivert", "--only", "traffic=hit")
	for _, want := range []string{"harness ", "filter=medium/traffic=hit", "weir parse+Match", "times ours", "run       ", "seed 1, 2 runs of 1ms"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("no %q in\n%s", want, o.out)
		}
	}
	if strings.Contains(o.out, "traffic=mixed") || strings.Contains(o.out, "mode=rate") {
		t.Errorf("--only is not heeded:\n%s", o.out)
	}
}

// What --json writes can be shown later, compared with, judged, and drawn.
func TestBenchReports(t *testing.T) {
	dir := t.TempDir()
	old, page := filepath.Join(dir, "old.json"), filepath.Join(dir, "report.html")
	o := benchQuick(t, "checksum", "--json")
	var r bench.Report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || len(r.Results) != 6 {
		t.Fatalf("%d results, %v", len(r.Results), err)
	}
	if err := os.WriteFile(old, []byte(o.out), 0o600); err != nil {
		t.Fatal(err)
	}
	o = weir(t, "", "bench", "--load", old, "--compare", old, "--gates", "--html", page)
	for _, want := range []string{" compared, 0 changed, ", "pipeline over idiomatic gopacket", "gvisor did not take part: see --peers", " not measured\n"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("no %q in\n%s", want, o.out)
		}
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "checksum") {
		t.Errorf("the page: %v", err)
	}
	if o := weir(t, "", "bench", "--load", old, "--benchfmt"); strings.Count(o.out, "BenchmarkChecksum/size=60/variant=weir ") != 2 {
		t.Errorf("benchfmt:\n%s", o.out)
	}
	if o := weir(t, "", "bench", "--load", old, "--gates", "--strict"); o.status != exitDone { // nothing that was measured is missed
		t.Errorf("status %d", o.status)
	}
	for i := range r.Results { // a processor that is never done
		r.Results[i].Scenario = "parse"
		r.Results[i].Outcomes[0].Runs[0].Allocs += 1 << 40
		r.Results[i].Outcomes[0].Runs[1].Allocs += 1 << 40
	}
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(old, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if o := weir(t, "", "bench", "--load", old, "--gates", "--strict"); o.status != exitShort || !strings.Contains(o.out, "MISSED") {
		t.Errorf("status %d, want %d:\n%s", o.status, exitShort, o.out)
	}
}

// The short form of the checks: whoever allocates for a packet is named, and what is slow is not.
func TestBenchAllocations(t *testing.T) {
	o := weir(t, "", "bench", "--allocs", "parse", "classify")
	if o.status != exitDone || !strings.Contains(o.out, " do not allocate") {
		t.Errorf("status %d: %s%s", o.status, o.out, o.err)
	}
	run := func(allocs uint64) []bench.Sample {
		return []bench.Sample{{Ops: 10_000, Allocs: allocs, Counted: true}}
	}
	r := bench.Report{Results: []bench.Result{{Scenario: "parse", Outcomes: []bench.Outcome{
		{Variant: "weir", Runs: run(10_100)}, {Variant: "weir Match", Runs: run(60)}, {Variant: "gopacket", Peer: true, Runs: run(70_000)},
	}}}}
	var b strings.Builder
	if err := checkAllocations(&b, &r); err == nil || b.String() != "parse: weir allocates 1.00 times for each operation, want 0\n1 of 2 do not allocate\n" {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestBenchPprof(t *testing.T) {
	dir := t.TempDir()
	benchQuick(t, "checksum", "--only", "size=60", "--pprof", dir)
	if _, err := os.Stat(filepath.Join(dir, "checksum_size=60.weir.cpu.pprof")); err != nil {
		t.Error(err)
	}
}

func TestBenchWrongUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"bench prase", `there is no scenario "prase": there are parse, checksum`},
		{"bench parse --only size=7", "no case of parse has that"},
		{"bench parse --strict", "--strict goes with --gates"},
		{"bench --load nothing.json", "no such file"},
		{"bench --load bench_test.go", "not a report"},
		{"bench --runs 0", "--runs 0: want 1 to 1000"},
		{"bench --time 1h", "--time 1h0m0s: want 10µs to 10m0s"},
		{"bench --seed 0", "want any number but 0"},
		{"bench --json --benchfmt", "none of the others can be"},
	} {
		if o := weir(t, "", strings.Fields(c.args)...); o.status != exitUsage || !strings.Contains(o.err, c.want) {
			t.Errorf("%s: status %d, %q, want %q", c.args, o.status, o.err, c.want)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"bench parse --peers-bin /nowhere/peers", "the program of peers"},
	} {
		if o := weir(t, "", strings.Fields(c.args)...); o.status != exitFailed || !strings.Contains(o.err, c.want) {
			t.Errorf("%s: status %d, %q, want %q", c.args, o.status, o.err, c.want)
		}
	}
}

func TestBenchList(t *testing.T) {
	o := weir(t, "", "bench", "--list")
	for _, s := range benchScenarios() {
		if !strings.Contains(o.out, s.Name+" ") {
			t.Errorf("no %s in\n%s", s.Name, o.out)
		}
	}
}
