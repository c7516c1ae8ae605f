package archtest

import (
	"slices"
	"strings"
	"testing"
)

// The rule of design and review: arrows point down. This is the whole module, read as it is on disk.
func TestImports(t *testing.T) {
	files := readModule(t)
	if len(files) < 20 {
		t.Fatalf("%d Go files in the module: the walk has lost its way", len(files))
	}
	for _, msg := range check(files) {
		t.Error(msg)
	}
}

// The table itself: what a room may import stands before it, so there is no way round in a circle, and everything has a reason.
func TestTable(t *testing.T) {
	for i, r := range rooms {
		if r.why == "" {
			t.Errorf("room %s has no reason", r.dir)
		}
		before := rooms[:i]
		for _, m := range r.may {
			if m != everything && m != exported && !slices.ContainsFunc(before, func(b room) bool { return inRoom(b.dir, m) }) {
				t.Errorf("room %s may import %s, which does not stand before it", r.dir, m)
			}
		}
		if slices.ContainsFunc(before, func(b room) bool { return b.dir == r.dir }) {
			t.Errorf("room %s is listed twice", r.dir)
		}
	}
	for _, g := range guards {
		if g.why == "" {
			t.Errorf("the guard of %s has no reason", g.pkg)
		}
		for _, dir := range g.rooms {
			if roomOf(strings.TrimSuffix(dir, "/...")) == nil {
				t.Errorf("the guard of %s names %s, which is no room", g.pkg, dir)
			}
		}
	}
}

// What the rules refuse and allow, told by files that are not there: a rule that never fails is worth nothing.
func TestCheck(t *testing.T) {
	const m = module + "/"
	for _, c := range []struct {
		name, file, src string
		want            string // part of the only complaint; empty for none
	}{
		{"leaf imports std", "divertdrv/wire/ip.go", `package wire; import "math/bits"`, ""},
		{"leaf imports project", "divertdrv/wire/ip.go", `package wire; import "` + m + `divertdrv/addr"`, "divertdrv/wire may import nothing"},
		{"leaf imports a module", "inject/dpc/dpc.go", `package dpc; import "` + xsys + `/unix"`, "inject/dpc may import nothing"},
		{"leaf's test imports a witness", "inject/dpc/dpc_test.go", `package dpc; import "` + rapid + `"`, ""},
		{"leaf's test reaches up", "divertdrv/wire/ip_test.go", `package wire; import "` + m + `divertdrv"`, "imports divertdrv;"},
		{"arrow down", "divertdrv/filter/eval.go", `package filter; import "` + m + `divertdrv/wire"`, ""},
		{"arrow back", "divertdrv/open.go", `package divertdrv; import "` + m + `divertdrv/simdrv"`, "the seam knows no driver"},
		{"seam's test opens a driver", "divertdrv/open_test.go", `package divertdrv_test; import "` + m + `divertdrv/simdrv"`, ""},
		{"driver imports processor", "divertdrv/simdrv/sim.go", `package simdrv; import "` + m + `processor"`, "stands below"},
		{"driver's test imports processor", "divertdrv/simdrv/sim_test.go", `package simdrv; import "` + m + `processor"`, "stands below"},
		{"driver's test imports a sibling", "divertdrv/simdrv/sim_test.go", `package simdrv; import "` + m + `divertdrv/drvtest"`, ""},
		{"injection's test opens a driver", "inject/inject_test.go", `package inject; import "` + m + `divertdrv/simdrv"`, ""},
		{"the engine is two drivers' own", "inject/inject_test.go", `package inject; import "` + m + `divertdrv/internal/stack"`, "a detail of two drivers"},
		{"the engine's own test", "divertdrv/internal/stack/queue_test.go", `package stack_test; import "` + m + `divertdrv/internal/stack"`, ""},
		{"divert-go elsewhere", "divertdrv/native/windows.go", `package native; import "` + divertGo + `"`, "GPL-3.0"},
		{"divert-go at home", "divertdrv/windrv/open_windows.go", `package windrv; import "` + divertGo + `"`, ""},
		{"windrv linked by a library", "processor/run.go", `package processor; import "` + m + `divertdrv/windrv"`, "an embedder must choose"},
		{"windrv linked by the program", "cmd/weir/main.go", `package main; import "` + m + `divertdrv/windrv"`, ""},
		{"a library logs", "inject/inject.go", `package inject; import "` + zap + `"`, "only the program logs"},
		{"a library logs with std", "processor/run.go", `package processor; import "log/slog"`, "which is for examples/..., internal/control, tests"},
		{"a witness in the product", "inject/inject.go", `package inject; import "` + gvisor + `/pkg/tcpip"`, "which is for internal/netstack, tests"},
		{"a witness at home", "internal/netstack/netstack.go", `package netstack; import "` + gvisor + `/pkg/tcpip"`, ""},
		{"a witness by a detour", "processor/run.go", `package processor; import "` + m + `internal/netstack"`, "it links gvisor"},
		{"a test with a witness", "inject/inject_test.go", `package inject; import "` + m + `internal/netstack"`, ""},
		{"a library prints", "inject/inject.go", "package inject; import \"fmt\"\nfunc f() { fmt.Println() }", "uses fmt.Println"},
		{"a library exits", "processor/run.go", "package processor; import \"os\"\nfunc f() { os.Exit(1) }", "uses os.Exit"},
		{"the program prints", "cmd/weir/run.go", "package main; import \"fmt\"\nfunc f() { fmt.Println() }", ""},
		{"an example prints", "examples/blockdns/main.go", "package main; import (\"fmt\"; \"" + m + "processor\")\nfunc f() { fmt.Println() }", ""},
		{"an example reaches inside", "examples/blockdns/main.go", `package main; import "` + m + `internal/clock"`, "cannot import internal"},
		{"nobody imports the program", "bench/bench.go", `package bench; import "` + m + `cmd/weir"`, "imports cmd/weir;"},
		{"cgo", "divertdrv/wire/c.go", `package wire; import "C"`, "imports C"},
		{"a folder without a room", "divertdrv/util/util.go", `package tools`, "add it to the table"},
		{"a name that says nothing", "inject/inject.go", `package util`, "name it after what it does"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := readSource(c.file, c.file, c.src)
			if err != nil {
				t.Fatal(err)
			}
			got := check([]source{s})
			if c.want == "" && len(got) != 0 {
				t.Fatalf("got %q, want none", got)
			}
			if c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Fatalf("got %q, want one with %q", got, c.want)
			}
		})
	}
}
