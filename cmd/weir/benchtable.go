package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/nfqueue"
)

// printBench writes the report as tables, one for each scenario.
func printBench(to io.Writer, r *bench.Report) error {
	w := bufio.NewWriter(to)
	printBenchHead(w, r)
	for i := 0; i < len(r.Results); {
		end := i
		for end < len(r.Results) && r.Results[end].Scenario == r.Results[i].Scenario {
			end++
		}
		if r.Results[i].Scenario == nfqueue.Name {
			printLive(w, r.Results[i:end])
		} else {
			printScenario(w, r.Results[i:end])
		}
		i = end
	}
	for _, u := range r.Unable {
		fmt.Fprintf(w, "%s: cannot run here: %s\n\n", u.Scenario, u.Why)
	}
	return w.Flush()
}

func printBenchHead(w io.Writer, r *bench.Report) {
	fmt.Fprintf(w, "machine   %v", r.Machine)
	if r.Machine.Load > 0 {
		fmt.Fprintf(w, ", load %.1f", r.Machine.Load)
	}
	fmt.Fprintf(w, "\nbuild     %v\n", r.Build)
	fmt.Fprintf(w, "run       %s, seed %d, %d runs of %v each, interleaved\n", r.Date.Format(time.DateTime), r.Settings.Seed, r.Settings.Runs, r.Settings.Time)
	fmt.Fprintf(w, "harness   %.0f ns a run; an empty loop costs %.2f ns an operation through it and %.2f ns without\n\n",
		r.Overhead.Run, r.Overhead.Loop, r.Overhead.Empty)
}

// printScenario writes the cases of one scenario.
func printScenario(w io.Writer, results []bench.Result) {
	first := &results[0]
	times := timesOf(results)
	fmt.Fprintf(w, "%s: an operation is %s; %s is %s, median (minimum)\n", first.Scenario, first.Op, times, timesMeaning[times])
	heads := []string{"case", "variant", ">" + times, ">packets/s", ">Gbit/s", ">allocs/op"}
	latency, memory := has(results, "p50-ns"), has(results, bench.ByMemory)
	if latency {
		heads = append(heads, ">p50", ">p99", ">p99.9", ">max")
	}
	if memory && first.Scenario == "flows" {
		heads = append(heads, ">memory")
	}
	g := newGrid(append(heads, ">times ours", ">from to")...)
	var notes []string
	for i := range results {
		for j := range results[i].Outcomes {
			o := &results[i].Outcomes[j]
			if o.Unable != "" {
				notes = append(notes, fmt.Sprintf("%s: %s cannot run: %s", results[i].Params, o.Variant, o.Unable))
				continue
			}
			name := results[i].Params.String()
			if j > 0 {
				name = ""
			}
			row := []any{name, o.Variant, spanOf(o, times), rate(o), gigabits(o), allocations(o)}
			if latency {
				for _, p := range []string{"p50", "p99", "p99.9", "p100"} {
					row = append(row, latencyOf(o, p))
				}
			}
			if memory && first.Scenario == "flows" {
				row = append(row, fmt.Sprintf("%.1f MB", o.Measures[bench.ByMemory].Median/1e6))
			}
			ratio, span := "", ""
			if o.Ratio != nil {
				ratio, span = fmt.Sprintf("%.2f", o.Ratio.Median), fmt.Sprintf("%.2f … %.2f", o.Ratio.Min, o.Ratio.Max)
			}
			g.add(append(row, ratio, span)...)
		}
	}
	g.print(w)
	for _, n := range notes {
		fmt.Fprintln(w, "  "+n)
	}
	fmt.Fprintln(w)
}

// timesMeaning says what the times are.
var timesMeaning = map[string]string{bench.ByCPU: "time of the processor, of all threads together", bench.ByTime: "time that passed"}

// timesOf is processor time where it is known.
func timesOf(results []bench.Result) string {
	if has(results, bench.ByCPU) {
		return bench.ByCPU
	}
	return bench.ByTime
}

func has(results []bench.Result, measure string) bool {
	for i := range results {
		for j := range results[i].Outcomes {
			if _, ok := results[i].Outcomes[j].Measures[measure]; ok {
				return true
			}
		}
	}
	return false
}

func spanOf(o *bench.Outcome, by string) string {
	m, ok := o.Measures[by]
	if !ok {
		m = o.Measures[bench.ByTime]
	}
	return digits(m.Median) + " (" + digits(m.Min) + ")"
}

func rate(o *bench.Outcome) string {
	m, ok := o.Measures[bench.ByRate]
	if !ok {
		return ""
	}
	switch {
	case m.Median >= 1e6:
		return digits(m.Median/1e6) + " M"
	case m.Median >= 1e3:
		return digits(m.Median/1e3) + " k"
	}
	return digits(m.Median)
}

func gigabits(o *bench.Outcome) string {
	m, ok := o.Measures[bench.ByBytes]
	if !ok {
		return ""
	}
	return digits(m.Median * 8 / 1e9)
}

// allocations of a run are few even where none is an operation's: the runtime's own. A thousandth is none.
func allocations(o *bench.Outcome) string {
	m, ok := o.Measures[bench.ByAllocs]
	if !ok {
		return ""
	}
	if m.Median < bench.AllocsNone {
		return "0"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", m.Median), ".0")
}

func latencyOf(o *bench.Outcome, p string) string {
	d, ok := o.Latency[p]
	if !ok {
		return ""
	}
	return d.Round(max(d/100, 1)).String()
}

// digits writes three of them.
func digits(v float64) string {
	switch {
	case v >= 100:
		return thousands(uint64(v + 0.5))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
