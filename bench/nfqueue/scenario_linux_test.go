package nfqueue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/internal/nettest"
)

// The test program is its own program under test too.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "divert" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := Divert(ctx, Loop(os.Args[2]), os.Args[3], os.Stdout)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func self(t *testing.T) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, "divert"}
}

// readme builds the loop of go-nfqueue's example.
func readme(t *testing.T) Peer {
	t.Helper()
	b := builder{t.Context(), filepath.Join("..", "peers"), t.TempDir(), func(string) {}}
	path, why := b.goProgram("gonfqueue", "./nfqueue/gonfqueue")
	return Peer{Name: PeerReadme, Argv: []string{path, "readme", strconv.Itoa(Queue)}, Why: why, Window: readmeWindow}
}

// The smallest form, with every measure. What is asserted holds at any speed: all packets are accounted for, and nothing stays.
func TestScenario(t *testing.T) {
	nettest.Need(t, nettest.Root, nettest.Program("iptables-nft", "iptables"))
	before := descriptors(t)
	s := Scenario(Config{Self: self(t), Peers: []Peer{readme(t), {Name: "nobody", Why: "it was never written"}}})
	s.Settings = bench.Settings{Runs: 1, Time: 50 * time.Millisecond}
	r, err := bench.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != len(measures) {
		t.Fatalf("%d results, want %d", len(r.Results), len(measures))
	}
	for i := range r.Results {
		check(t, &r.Results[i])
	}
	nothingLeft(t, before)
}

func check(t *testing.T, r *bench.Result) {
	t.Helper()
	name := r.Params.Get("measure")
	variants := []string{Ours, OurPipeline, NoQueue, PeerReadme, "nobody"}
	if only := measures[slices.IndexFunc(measures, func(m measure) bool { return m.name == name })].only; only != nil {
		variants = slices.DeleteFunc(slices.Clone(only), func(v string) bool { return v == PeerBatch })
	}
	for _, v := range variants {
		o := r.Outcome(v)
		switch {
		case o == nil:
			t.Errorf("%s: no %s", name, v)
		case v == "nobody":
			if o.Unable != "it was never written" {
				t.Errorf("%s: a peer that cannot run is there with %q", name, o.Unable)
			}
		case o.Unable != "":
			nettest.Lacks(t, errors.New(o.Unable))
		default:
			checkRuns(t, name, o)
		}
	}
}

func checkRuns(t *testing.T, measure string, o *bench.Outcome) {
	t.Helper()
	for i := range o.Runs {
		s := &o.Runs[i]
		if s.Ops == 0 || o.Variant != NoQueue && s.CPU == 0 {
			t.Errorf("%s, %s: %d packets in %v of processor time", measure, o.Variant, s.Ops, s.CPU)
		}
		for cause, n := range s.Loss {
			lossy := measure == MeasureFlood || o.Variant == PeerReadme
			if n > 0 && (!lossy || cause == causeUnknown) {
				t.Errorf("%s, %s: %d packets lost: %s", measure, o.Variant, n, cause)
			}
		}
		if n := s.Extra["reordered"]; n != 0 {
			t.Errorf("%s, %s: %v packets reordered", measure, o.Variant, n)
		}
	}
}

// What is interrupted leaves nothing behind.
func TestInterrupted(t *testing.T) {
	nettest.Need(t, nettest.Root)
	before := descriptors(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := Scenario(Config{Self: self(t), Measures: []string{MeasureTCP}})
	s.Settings = bench.Settings{Runs: 1000, Time: time.Minute, Tell: func(what string) {
		if strings.Contains(what, "round") {
			time.AfterFunc(200*time.Millisecond, cancel)
		}
	}}
	if _, err := bench.Run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("Run of a cancelled context: %v", err)
	}
	nothingLeft(t, before)
}

// nothingLeft asserts that no program runs, and that what was open before is open now: namespaces live by descriptors.
func nothingLeft(t *testing.T, before int) {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(os.Getpid())).Output()
	for _, pid := range strings.Fields(string(out)) {
		if name, _ := os.ReadFile("/proc/" + pid + "/comm"); err == nil && !strings.HasPrefix(string(name), "pgrep") {
			t.Errorf("process %s (%s) is left", pid, strings.TrimSpace(string(name)))
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
