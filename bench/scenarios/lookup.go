package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/weirnet/weir/bench"
)

// lookup is the flow table by itself. It is no part of anybody's API, so it is measured by the benchmark beside it, which this
// scenario builds and calls: one call for each run.
func lookup() bench.Scenario {
	s := bench.Scenario{
		Name: "lookup", Op: "one flow found", By: bench.ByTime, Settings: bench.Settings{Runs: 5},
		About: "the table of flows beside a Go map with the same key, random hits (benchmark FlowLookup of package processor: needs a checkout and go)",
	}
	t := &testBinary{pkg: "./processor"}
	variant := func(name, about, benchmark string) bench.Variant {
		return bench.Variant{Name: name, About: about, Start: func(ctx context.Context, env bench.Env) (bench.Trial, error) {
			if err := t.build(ctx); err != nil {
				return bench.Trial{}, err
			}
			return bench.Trial{Close: t.remove, Run: t.run("^BenchmarkFlowLookup$/^flows="+env.Params.Get("flows")+"$/^"+benchmark+"$", lookups)}, nil
		}}
	}
	variants := []bench.Variant{
		variant("weir", "in batches of 64, as the processor does", "table,_in_batches_of_64"),
		variant("weir, one by one", "", "table"),
		variant("Go map", "map[wire.FlowKey]*Flow", "map"),
	}
	variants[2].Peer = true
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("flows", n), Variants: variants})
	}
	return s
}

// lookups is how many a run does.
const lookups = 1 << 19

// testBinary is a package's compiled tests.
type testBinary struct {
	pkg  string
	once sync.Once
	dir  string
	err  error
}

func (t *testBinary) build(ctx context.Context) error {
	t.once.Do(func() { t.err = t.compile(ctx) })
	return t.err
}

func (t *testBinary) compile(ctx context.Context) (err error) {
	if out, err := exec.CommandContext(ctx, "go", "list", t.pkg).CombinedOutput(); err != nil {
		return bench.Unablef("it is a benchmark of the source: call it in the top folder of a checkout, with go installed (%v: %.100s)", err, out)
	}
	if t.dir, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", t.path(), t.pkg).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("go test -c %s: %w: %s", t.pkg, err, out), t.remove())
	}
	return nil
}

func (t *testBinary) path() string { return filepath.Join(t.dir, "weir.test.exe") }

func (t *testBinary) remove() error { return os.RemoveAll(t.dir) }

var nsPerOp = regexp.MustCompile(`\s(\d+)\s+([\d.]+) ns/op`)

// run calls one benchmark, for a fixed number of operations.
func (t *testBinary) run(pattern string, ops int) func(context.Context, time.Duration) (bench.Sample, error) {
	return func(ctx context.Context, _ time.Duration) (bench.Sample, error) {
		out, err := exec.CommandContext(ctx, t.path(), "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", strconv.Itoa(ops)+"x").CombinedOutput()
		if err != nil {
			return bench.Sample{}, fmt.Errorf("%s: %w: %s", pattern, err, out)
		}
		m := nsPerOp.FindSubmatch(out)
		if m == nil {
			return bench.Sample{}, fmt.Errorf("%s: no such benchmark: %.200s", pattern, out)
		}
		n, _ := strconv.ParseUint(string(m[1]), 10, 64) // both are numbers by the pattern
		ns, _ := strconv.ParseFloat(string(m[2]), 64)
		return bench.Sample{Ops: n, Packets: n, Elapsed: time.Duration(ns * float64(n))}, nil
	}
}
