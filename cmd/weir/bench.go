package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/nfqueue"
	"github.com/weirnet/weir/bench/scenarios"
	_ "github.com/weirnet/weir/divertdrv/native" // the driver of scenario windivert
)

// exitShort: with --strict a goal is not reached.
const exitShort = 3

type benchFlags struct {
	runs     int
	time     time.Duration
	max      time.Duration
	seed     uint64
	peers    bool
	peersBin string
	only     string

	asJSON, asBenchfmt   bool
	html, compare, pprof string
	load                 string
	gates, strict        bool
	list, allocations    bool

	given func(flag string) bool // on the command line
}

func newBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:     "bench [SCENARIO…]",
		GroupID: groupProgram,
		Short:   "Measure Weir here, beside what others use",
		Long: `Measures scenarios on this machine: all of them, or those that are named (--list shows them). Variants of a scenario do the same
work, which is checked, and take turns: A B A B. So a ratio is the median of the ratios of neighbouring runs, and what else the
machine does falls on both sides. Trust ratios; a single time on a busy machine says little, and its minimum says most.

With --peers, gopacket, BPF, gvisor and others take part, in the same run. They are in a module of their own, bench/peers, which is
built with the go command in a checkout; --peers-bin names a program that was built from it before.

The exit status is 0, or 1 if something could not be measured, or 3 with --strict if a goal of --gates is missed.`,
		Example: `  weir bench pipeline filter classify
  weir bench --peers --html report.html
  weir bench --json > new.json; weir bench --compare old.json
  weir bench --gates --peers`,
		Args: cobra.ArbitraryArgs,
		RunE: does(func(cmd *cobra.Command, args []string) error { return f.bench(cmd, args) }),
	}
	f.add(cmd)
	cmd.AddCommand(newBenchDivert())
	return cmd
}

func (f *benchFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.given = flags.Changed
	flags.IntVar(&f.runs, "runs", 10, "runs of each variant that count, 1 to 1000; one more warms up")
	flags.DurationVar(&f.time, "time", 20*time.Millisecond, "how long one run takes, about")
	flags.DurationVar(&f.max, "max", 5*time.Minute, "how long one scenario may take; then it ends after the round that it is in. 0: no bound")
	flags.Uint64Var(&f.seed, "seed", 1, "of packets, rules and flows; not 0")
	flags.StringVar(&f.only, "only", "", "only cases with these `parameters`, such as size=60/rules=1")
	flags.BoolVar(&f.peers, "peers", false, "measure the peers of bench/peers too: builds them with go, in a checkout")
	flags.StringVar(&f.peersBin, "peers-bin", "", "measure peers of this `program`, which was built with: cd bench/peers && go build -o FILE ./serve")
	flags.BoolVar(&f.asJSON, "json", false, "print the report as one JSON object, with every run")
	flags.BoolVar(&f.asBenchfmt, "benchfmt", false, "print every run as Go's benchmarks do, for benchstat")
	flags.StringVar(&f.html, "html", "", "also write a report with plots to this `file`, which needs no other")
	flags.StringVar(&f.compare, "compare", "", "say what changed since this `report` of --json, and what is noise")
	flags.StringVar(&f.load, "load", "", "measure nothing: show this `report` of --json")
	flags.StringVar(&f.pprof, "pprof", "", "run each variant once more and write its processor profile into this `folder`")
	flags.BoolVar(&f.gates, "gates", false, "print the goals, and how far we are: a goal whose scenario was not measured says so")
	flags.BoolVar(&f.strict, "strict", false, "with --gates: exit with 3 if a goal that was measured is missed")
	flags.BoolVar(&f.allocations, "allocs", false, "a short form for checks: fails if what must not allocate does; times are not looked at")
	flags.BoolVar(&f.list, "list", false, "list the scenarios and measure nothing")
	cmd.MarkFlagsMutuallyExclusive("json", "benchfmt", "list", "allocs")
	cmd.MarkFlagsMutuallyExclusive("load", "list", "allocs")
	cmd.MarkFlagsMutuallyExclusive("peers", "peers-bin")
}

func (f *benchFlags) bench(cmd *cobra.Command, names []string) error {
	if err := f.check(); err != nil {
		return wrong(err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM) // what was measured until then is shown, what was built is removed
	defer stop()
	cmd.SetContext(ctx)
	all := benchScenarios()
	if f.list {
		return listScenarios(cmd.OutOrStdout(), all)
	}
	if f.allocations {
		f.runs, f.time = 2, 5*time.Millisecond
	}
	report, failed := f.report(cmd, all, names)
	if report.Version == 0 {
		return failed
	}
	err := f.show(cmd, &report)
	if failed != nil {
		return failed
	}
	return err
}

func (f *benchFlags) check() error {
	switch {
	case f.strict && !f.gates:
		return errors.New("--strict goes with --gates")
	case f.runs < 1 || f.runs > bench.RunsMax:
		return fmt.Errorf("--runs %d: want 1 to %d", f.runs, bench.RunsMax)
	case f.time < bench.TimeMin || f.time > bench.TimeMax:
		return fmt.Errorf("--time %v: want %v to %v", f.time, bench.TimeMin, bench.TimeMax)
	case f.max < 0 || f.seed == 0:
		return fmt.Errorf("--max %v: want 0 or more; --seed %d: want any number but 0", f.max, f.seed)
	}
	return nil
}

// report measures, or reads what was measured.
func (f *benchFlags) report(cmd *cobra.Command, all []bench.Scenario, names []string) (bench.Report, error) {
	if f.load != "" {
		return loadReport(f.load)
	}
	build := bench.ThisBuild()
	fillCommit(cmd.Context(), &build) // now: a commit may be made while this runs
	chosen, err := choose(all, names, f.only)
	if err != nil {
		return bench.Report{}, wrong(err)
	}
	if f.allocations {
		chosen = small(chosen)
	}
	tell, quiet := progressLine(cmd.ErrOrStderr())
	defer quiet()
	peers, err := f.startPeers(cmd.Context(), tell)
	if err != nil {
		return bench.Report{}, err
	}
	done, err := f.livePeers(cmd.Context(), chosen, tell)
	if err != nil {
		return bench.Report{}, err
	}
	report, err := f.run(cmd.Context(), chosen, peers, tell)
	report.Build = build
	if peers != nil {
		err = errors.Join(err, peers.Close())
	}
	return report, errors.Join(err, done())
}

func (f *benchFlags) run(ctx context.Context, chosen []bench.Scenario, peers *bench.Peers, tell func(string)) (bench.Report, error) {
	var report bench.Report
	var failed []error
	for _, s := range chosen {
		s.Settings.Seed, s.Settings.Max, s.Settings.Pprof, s.Settings.Tell = f.seed, f.max, f.pprof, tell
		if s.Settings.Runs == 0 || f.runs < s.Settings.Runs || f.given("runs") {
			s.Settings.Runs = f.runs
		}
		if s.Settings.Time < f.time || f.given("time") {
			s.Settings.Time = f.time
		}
		if peers != nil {
			peers.Attach(&s)
		}
		r, err := bench.Run(ctx, s)
		report.Join(r)
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return report, errors.Join(failed...)
}

// choose finds scenarios by name, and of them the cases.
func choose(all []bench.Scenario, names []string, only string) ([]bench.Scenario, error) {
	var chosen []bench.Scenario
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s bench.Scenario) bool { return s.Name == name }) {
			return nil, fmt.Errorf("there is no scenario %q: there are %s", name, strings.Join(scenarioNames(all), ", "))
		}
	}
	for _, s := range all {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		s.Cases = slices.DeleteFunc(slices.Clone(s.Cases), func(c bench.Case) bool { return !c.Params.Has(only) })
		if len(s.Cases) > 0 || s.Unable != nil {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--only %s: no case of %s has that", only, strings.Join(names, ", "))
	}
	return chosen, nil
}

// small leaves out what takes long to build and allocates no more than its smaller cases, and what runs in another process or over
// a kernel.
func small(chosen []bench.Scenario) []bench.Scenario {
	var left []bench.Scenario
	for _, s := range chosen {
		s.Cases = slices.DeleteFunc(slices.Clone(s.Cases), func(c bench.Case) bool {
			return c.Params.Get("rules") == "10000" || c.Params.Get("filters") == "10000" || c.Params.Get("flows") == "1000000"
		})
		if !slices.Contains([]string{"lookup", "windivert", nfqueue.Name}, s.Name) {
			left = append(left, s)
		}
	}
	return left
}

func scenarioNames(all []bench.Scenario) (names []string) {
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}

// benchScenarios are all that this program can measure.
func benchScenarios() []bench.Scenario { return append(scenarios.All(), livePath()) }

func listScenarios(w io.Writer, all []bench.Scenario) error {
	g := newGrid("scenario", ">cases", "what")
	for _, s := range all {
		about := s.About
		if s.Unable != nil {
			about += " (" + s.Unable.Error() + ")"
		}
		g.add(s.Name, len(s.Cases), about)
	}
	g.print(w)
	return nil
}

func loadReport(path string) (bench.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return bench.Report{}, wrong(err)
	}
	defer f.Close()
	r, err := bench.ReadReport(f)
	if err != nil {
		return bench.Report{}, wrongf("%s: %w", path, err)
	}
	return r, nil
}

// progressLine shows what is being done in the last line of a terminal, and nothing elsewhere.
func progressLine(w io.Writer) (tell func(string), end func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}, func() {}
	}
	return func(text string) { fmt.Fprintf(f, "\r\x1b[K%.100s", text) }, func() { fmt.Fprint(f, "\r\x1b[K") }
}
