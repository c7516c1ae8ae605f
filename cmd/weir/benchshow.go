package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/bench"
)

// show writes the report in the forms that were asked for.
func (f *benchFlags) show(cmd *cobra.Command, r *bench.Report) error {
	out := cmd.OutOrStdout()
	if f.html != "" {
		if err := writeHTML(f.html, r); err != nil {
			return err
		}
	}
	switch {
	case f.asJSON:
		return r.WriteJSON(out)
	case f.asBenchfmt:
		return r.WriteBenchfmt(out)
	case f.allocations:
		return checkAllocations(out, r)
	}
	err := printBench(out, r)
	if f.compare != "" {
		err = errors.Join(err, f.printComparison(out, r))
	}
	if f.gates {
		missed, gatesErr := printGates(out, r)
		err = errors.Join(err, gatesErr)
		if err == nil && f.strict && missed > 0 {
			return &statusError{exitShort, errTold}
		}
	}
	return err
}

func writeHTML(path string, r *bench.Report) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.WriteHTML(f)
}

// printComparison says what changed since an older report.
func (f *benchFlags) printComparison(to io.Writer, now *bench.Report) error {
	old, err := loadReport(f.compare)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	changes := bench.Compare(&old, now)
	fmt.Fprintf(w, "since %s, commit %s: medians; p by Mann–Whitney, beside ~ what noise can do too\n", old.Date.Format("2006-01-02 15:04"), orUnknown(old.Build.Commit))
	g := newGrid("case", "variant", "measure", ">before", ">now", ">change", ">p", ">runs")
	noise := 0
	for _, c := range changes {
		change := fmt.Sprintf("%+.1f %%", 100*(c.After/c.Before-1))
		if !c.Significant {
			noise++
			change = "~"
		}
		g.add(c.Case, c.Variant, c.Metric, digits(c.Before), digits(c.After), change, fmt.Sprintf("%.3f", c.P), fmt.Sprintf("%d+%d", c.RunsBefore, c.RunsAfter))
	}
	g.print(w)
	fmt.Fprintf(w, "\n%d compared, %d changed, %d within noise\n", len(changes), len(changes)-noise, noise)
	if old.Machine.CPU != now.Machine.CPU || old.Machine.Processors != now.Machine.Processors {
		fmt.Fprintf(w, "the two were measured on different machines: %v; %v\n", old.Machine, now.Machine)
	}
	fmt.Fprintln(w)
	return w.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// mustNotAllocate are the variants of ours whose packets cost no allocation.
var mustNotAllocate = map[string]bool{"weir": true, "weir Match": true, "weir parse+Match": true, "weir, no budget": true}

// runtimeAllocs is what the runtime may allocate by itself in a run, however short.
const runtimeAllocs = 100

// leastAllocs is what the best run allocated for each operation.
func leastAllocs(runs []bench.Sample) float64 {
	least := math.Inf(1)
	for _, s := range runs {
		least = min(least, float64(s.Allocs-min(s.Allocs, runtimeAllocs))/float64(max(s.Ops, 1)))
	}
	return least
}

// checkAllocations fails if what must not allocate for each packet does. It looks at no time.
func checkAllocations(w io.Writer, r *bench.Report) error {
	checked, bad := 0, 0
	for i := range r.Results {
		if r.Results[i].Scenario == "capture" {
			continue // each reading opens the file anew
		}
		for j := range r.Results[i].Outcomes {
			o := &r.Results[i].Outcomes[j]
			if len(o.Runs) == 0 || !mustNotAllocate[o.Variant] || !o.Runs[0].Counted {
				continue
			}
			checked++
			if allocs := leastAllocs(o.Runs); allocs >= bench.AllocsNone {
				bad++
				fmt.Fprintf(w, "%s: %s allocates %.2f times for each operation, want 0\n", r.Results[i].Name(), o.Variant, allocs)
			}
		}
	}
	fmt.Fprintf(w, "%d of %d do not allocate\n", checked-bad, checked)
	if bad > 0 {
		return errTold
	}
	if checked == 0 {
		return errors.New("nothing was measured that counts allocations")
	}
	return nil
}
