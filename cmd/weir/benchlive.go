package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/nfqueue"
)

// liveTable says what is shown of a measure of the scenario nfqueue.
type liveTable struct {
	about string
	heads []string
	row   func(o *bench.Outcome) []any
}

var liveTables = map[string]liveTable{
	nfqueue.MeasureRate: {
		"datagrams of 92 bytes in a closed loop; CPU time of the program for each, by user and system",
		[]string{">packets/s", ">CPU", ">user", ">system", ">lost", ">reordered"},
		func(o *bench.Outcome) []any {
			return []any{rate(o), nanos(o, bench.ByCPU), nanos(o, "user-ns/op"), nanos(o, "system-ns/op"), lost(o), most(o, "reordered")}
		},
	},
	nfqueue.MeasureTCP: {
		"one connection with the devices' offloads; CPU time of the program for 1,448 bytes",
		[]string{">Gbit/s", ">CPU", ">user", ">system"},
		func(o *bench.Outcome) []any {
			return []any{gigabits(o), nanos(o, bench.ByCPU), nanos(o, "user-ns/op"), nanos(o, "system-ns/op")}
		},
	},
	nfqueue.MeasureLatency: {
		"round trips on one CPU: the median from when each began, and what of it the program adds; then percentiles from when each was due",
		[]string{">trip", ">added", ">p50", ">p99", ">p99.9", ">max", ">lost"},
		func(o *bench.Outcome) []any {
			return []any{
				nanos(o, nfqueue.TripTime), nanos(o, nfqueue.AddedTime),
				latencyOf(o, "p50"), latencyOf(o, "p99"), latencyOf(o, "p99.9"), latencyOf(o, "p100"), lost(o),
			}
		},
	},
	nfqueue.MeasureApart: {
		"the same, the program on another CPU",
		[]string{">trip", ">added", ">CPU", ">p50", ">p99", ">lost"},
		func(o *bench.Outcome) []any {
			return []any{
				nanos(o, nfqueue.TripTime), nanos(o, nfqueue.AddedTime), nanos(o, bench.ByCPU), latencyOf(o, "p50"), latencyOf(o, "p99"), lost(o),
			}
		},
	},
	nfqueue.MeasureRate6: {
		"datagrams of 112 bytes of IPv6 in a closed loop",
		[]string{">packets/s", ">CPU", ">lost", ">reordered"},
		func(o *bench.Outcome) []any {
			return []any{rate(o), nanos(o, bench.ByCPU), lost(o), most(o, "reordered")}
		},
	},
	nfqueue.MeasureFlood: {
		"200,000 datagrams a second, whether they arrive or not; losses of all runs by cause",
		[]string{">offered/s", ">arrived", ">CPU", "lost"},
		func(o *bench.Outcome) []any {
			return []any{
				digits(o.Measures["offered/s"].Median), fmt.Sprintf("%.1f %%", 100*o.Measures[nfqueue.ArrivedShare].Median), nanos(o, bench.ByCPU), lost(o),
			}
		},
	},
}

// printLive writes a table for each measure. "times ours" says how many times better the first variant is, run by run.
func printLive(w io.Writer, results []bench.Result) {
	for i := range results {
		r := &results[i]
		t, ok := liveTables[r.Params.Get("measure")]
		if !ok {
			continue
		}
		fmt.Fprintf(w, "%s: %s; medians\n", r.Name(), t.about)
		g := newGrid(slices.Concat([]string{"variant"}, t.heads, []string{">times ours", ">from to"})...)
		for j := range r.Outcomes {
			o := &r.Outcomes[j]
			if o.Unable != "" {
				continue
			}
			ratio, span := "", ""
			if o.Ratio != nil {
				ratio, span = fmt.Sprintf("%.2f", o.Ratio.Median), fmt.Sprintf("%.2f … %.2f", o.Ratio.Min, o.Ratio.Max)
			}
			g.add(slices.Concat([]any{o.Variant}, t.row(o), []any{ratio, span})...)
		}
		g.print(w)
		fmt.Fprintln(w)
	}
	printUnable(w, results)
}

// printUnable says once of each variant why it could not run.
func printUnable(w io.Writer, results []bench.Result) {
	told := map[string]bool{}
	for i := range results {
		for _, o := range results[i].Outcomes {
			if o.Unable != "" && !told[o.Variant] {
				told[o.Variant] = true
				fmt.Fprintf(w, "%s cannot run: %s\n", o.Variant, o.Unable)
			}
		}
	}
	if len(told) > 0 {
		fmt.Fprintln(w)
	}
}

// nanos is the median of a measure in nanoseconds, "" where it was not taken.
func nanos(o *bench.Outcome, metric string) string {
	m, ok := o.Measures[metric]
	if !ok {
		return ""
	}
	d := time.Duration(m.Median)
	return d.Round(max(d/1000, 1)).String()
}

// most is the largest value of a measure.
func most(o *bench.Outcome, metric string) string {
	m, ok := o.Measures[metric]
	if !ok {
		return ""
	}
	return thousands(uint64(m.Max))
}

// lost adds up what all runs lost, by cause.
func lost(o *bench.Outcome) string {
	sum := map[string]uint64{}
	for i := range o.Runs {
		for cause, n := range o.Runs[i].Loss {
			if n > 0 {
				sum[cause] += n
			}
		}
	}
	if len(sum) == 0 {
		return "0"
	}
	var words []string
	for _, cause := range slices.Sorted(maps.Keys(sum)) {
		words = append(words, thousands(sum[cause])+" "+cause)
	}
	return strings.Join(words, ", ")
}
