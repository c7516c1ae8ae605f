package bench_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/bench"
)

// The test's program is its own program of peers.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_BENCH_TEST_PEERS") == "" {
		os.Exit(m.Run())
	}
	err := bench.Serve(context.Background(), os.Stdin, os.Stdout, []bench.Served{
		{Scenario: "spin", Variant: spinner("theirs", 2, nil)},
		{Scenario: "spin", Variant: bench.Variant{Name: "absent", Start: unable}},
		{Scenario: "other", Variant: spinner("elsewhere", 2, nil)},
		{Scenario: "gone", Variant: bench.Variant{Name: "gone", Start: func(context.Context, bench.Env) (bench.Trial, error) {
			_, _ = os.Stderr.WriteString("no more\n")
			os.Exit(3)
			return bench.Trial{}, nil
		}}},
	})
	if err != nil {
		os.Exit(1)
	}
}

func unable(context.Context, bench.Env) (bench.Trial, error) {
	return bench.Trial{}, bench.Unablef("it needs %s", "a driver")
}

var sink uint64

// spinner does cost units of work for an operation and writes its name to trace at each run.
func spinner(name string, cost int, trace *[]string) bench.Variant {
	return bench.Variant{Name: name, Start: func(_ context.Context, env bench.Env) (bench.Trial, error) {
		loop := bench.Loop(bench.Work{Packets: 1, Bytes: 60, Do: func(n int) error {
			for range n * cost {
				sink = sink*31 + 7
			}
			return nil
		}})
		return bench.Trial{Digest: env.Params.Get("size"), Run: func(ctx context.Context, d time.Duration) (bench.Sample, error) {
			if trace != nil {
				*trace = append(*trace, name)
			}
			return loop(ctx, d)
		}}, nil
	}}
}

func scenario(variants ...bench.Variant) bench.Scenario {
	return bench.Scenario{
		Name: "spin", Op: "one multiplication", Settings: bench.Settings{Runs: 3, Time: 100 * time.Microsecond},
		Cases: []bench.Case{{Params: bench.P("size", 60), Variants: variants}, {Params: bench.P("size", 1500), Variants: variants}},
	}
}

func TestRunInterleaves(t *testing.T) {
	var trace []string
	r, err := bench.Run(t.Context(), scenario(spinner("a", 1, &trace), spinner("b", 3, &trace), bench.Variant{Name: "c", Start: unable}))
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Repeat([]string{"a", "b"}, 8); !slices.Equal(trace, want) { // four rounds of two cases
		t.Errorf("ran %v, want %v", trace, want)
	}
	res := r.Result("spin", "size=1500")
	if res == nil || res.Name() != "spin/size=1500" || res.Op == "" || len(res.Outcomes) != 3 {
		t.Fatalf("result %+v", res)
	}
	a, b, c := res.Outcome("a"), res.Outcome("b"), res.Outcome("c")
	if len(a.Runs) != 3 || len(b.Runs) != 3 || a.Ratio != nil || b.Ratio == nil || b.Ratio.Median <= 0 {
		t.Errorf("a %d runs, ratio %v; b %d runs, ratio %v", len(a.Runs), a.Ratio, len(b.Runs), b.Ratio)
	}
	if c.Unable != "it needs a driver" || c.Runs != nil {
		t.Errorf("c %+v", c)
	}
	for _, m := range []string{bench.ByTime, bench.ByRate, bench.ByBytes, bench.ByAllocs} {
		if _, ok := a.Measures[m]; !ok {
			t.Errorf("no %s", m)
		}
	}
	if r.Machine.Processors == 0 || r.Build.Go == "" || r.Settings.Seed != 1 || r.Overhead.Run <= 0 {
		t.Errorf("report %+v", r)
	}
}

func TestRunRefusesDifferentWork(t *testing.T) {
	odd := bench.Variant{Name: "odd", Start: func(context.Context, bench.Env) (bench.Trial, error) {
		return bench.Trial{Digest: "17", Run: func(context.Context, time.Duration) (bench.Sample, error) { panic("it must not run") }}, nil
	}}
	_, err := bench.Run(t.Context(), scenario(spinner("a", 1, nil), odd))
	if err == nil || !strings.Contains(err.Error(), "a and odd did not do the same work: they found 60 and 17") {
		t.Errorf("got %v", err)
	}
}

func TestRunClosesWhatItStarted(t *testing.T) {
	closed := 0
	v := bench.Variant{Name: "v", Start: func(context.Context, bench.Env) (bench.Trial, error) {
		return bench.Trial{
			Run:   func(context.Context, time.Duration) (bench.Sample, error) { return bench.Sample{}, errors.New("broke") },
			Close: func() error { closed++; return nil },
		}, nil
	}}
	_, err := bench.Run(t.Context(), scenario(v))
	if err == nil || !strings.Contains(err.Error(), "spin/size=60: v: broke") || closed != 2 {
		t.Errorf("closed %d of 2; %v", closed, err)
	}
}

func TestRunOfWhatCannotBe(t *testing.T) {
	s := scenario(spinner("a", 1, nil))
	s.Unable = bench.Unablef("it needs Windows")
	r, err := bench.Run(t.Context(), s)
	if err != nil || len(r.Results) != 0 || len(r.Unable) != 1 || r.Unable[0].Why != "it needs Windows" {
		t.Errorf("%+v %v", r, err)
	}
	s = scenario(spinner("a", 1, nil))
	s.Settings.Runs = -1
	if _, err := bench.Run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "runs -1 (1 to 1000)") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bench.Run(ctx, scenario(spinner("a", 1, nil))); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRunEndsWhenItsTimeIsOver(t *testing.T) {
	s := scenario(spinner("a", 1, nil))
	s.Settings.Runs, s.Settings.Time, s.Settings.Max = 1000, 10*time.Millisecond, time.Millisecond
	r, err := bench.Run(t.Context(), s)
	if err != nil || len(r.Results[0].Outcomes[0].Runs) != 1 {
		t.Errorf("%d runs, %v", len(r.Results[0].Outcomes[0].Runs), err)
	}
}

func TestPprof(t *testing.T) {
	s := scenario(spinner("a b", 1, nil))
	s.Settings.Runs, s.Settings.Pprof = 1, t.TempDir()+"/new"
	if _, err := bench.Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(s.Settings.Pprof + "/spin_size=60.a_b.cpu.pprof"); err != nil || !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		t.Errorf("no profile: %v", err)
	}
}

func peers(t *testing.T) *bench.Peers {
	t.Helper()
	t.Setenv("WEIR_BENCH_TEST_PEERS", "1")
	p, err := bench.StartPeers(t.Context(), os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPeersTakePart(t *testing.T) {
	p := peers(t)
	s := scenario(spinner("ours", 1, nil))
	p.Attach(&s)
	r, err := bench.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	res := r.Result("spin", "size=60")
	theirs, absent := res.Outcome("theirs"), res.Outcome("absent")
	if len(res.Outcomes) != 3 || len(theirs.Runs) != 3 || !theirs.Peer || theirs.Ratio == nil || absent.Unable != "it needs a driver" {
		t.Errorf("theirs %+v\nabsent %+v", theirs, absent)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestPeersThatEnd(t *testing.T) {
	p := peers(t)
	s := scenario(spinner("ours", 1, nil))
	s.Name = "gone"
	p.Attach(&s)
	if _, err := bench.Run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "the program of peers ended\nit said: no more") {
		t.Errorf("got %v", err)
	}
	if err := p.Close(); err == nil {
		t.Error("its exit status is lost")
	}
	if _, err := bench.StartPeers(t.Context(), "/nowhere/peers"); err == nil {
		t.Error("started what is not there")
	}
}
