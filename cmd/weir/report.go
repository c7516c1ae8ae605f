package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirnet/weir/internal/daemon"
)

// printResult writes the table that ends a run.
func printResult(to io.Writer, r *daemon.Result) error {
	w := bufio.NewWriter(to)
	printVerdicts(w, r)
	printFilters(w, r.ByFilter)
	printCallouts(w, r.Callouts)
	printPipeline(w, r.Pipeline)
	printCapture(w, r.Capture)
	printViolations(w, r)
	printRate(w, r)
	fmt.Fprintln(w, r.Law())
	return w.Flush()
}

func printVerdicts(w io.Writer, r *daemon.Result) {
	g := newGrid("packets", ">", "")
	g.add("received", r.Received, thousands(r.BytesReceived)+" bytes")
	g.add("passed", r.Passed, "")
	g.add("dropped", r.Dropped, inWords(r.DroppedBy))
	if r.Held+r.InBatch > 0 {
		g.add("not judged", r.Held+r.InBatch, fmt.Sprintf("%d held, %d in a batch", r.Held, r.InBatch))
	}
	g.add("injected", r.Injected, failures(r))
	if r.Lost > 0 {
		g.add("lost", r.Lost, inWords(r.LostBy))
	}
	if r.CutThrough > 0 {
		g.add("cut through", r.CutThrough, "stayed in the kernel, of judged flows")
	}
	if r.Unmatched > 0 {
		g.add("unmatched", r.Unmatched, "went on, by the tests that are left to user space")
	}
	g.section(w)
}

func failures(r *daemon.Result) string {
	if r.Failed == 0 {
		return ""
	}
	return thousands(r.Failed) + " failed"
}

func printFilters(w io.Writer, filters []daemon.FilterResult) {
	g := newGrid("filter", "layer", "callout", ">matched", ">permitted", ">blocked")
	for _, f := range filters {
		g.add(f.Name, f.Layer, f.Callout, f.Matched, f.Permitted, f.Blocked)
	}
	g.section(w)
}

func printCallouts(w io.Writer, callouts []daemon.CalloutResult) {
	g := newGrid("callout", "counted", ">")
	for _, c := range callouts {
		name := c.Name
		for _, what := range slices.Sorted(maps.Keys(c.Counters)) {
			if n := c.Counters[what]; n > 0 {
				g.add(name, spaced(what), n)
				name = "" // once
			}
		}
	}
	g.section(w)
}

func printPipeline(w io.Writer, counts map[string]uint64) {
	g := newGrid("beside verdicts", ">")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		g.add(spaced(name), counts[name])
	}
	g.section(w)
}

// spaced makes words of the name of a counter.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

func printCapture(w io.Writer, c *daemon.CaptureResult) {
	if c == nil {
		return
	}
	g := newGrid("capture", ">", "")
	g.add("frames", c.Frames, "")
	g.add("IP packets", c.Packets, "")
	if c.Truncated > 0 {
		g.add("cut short", c.Truncated, "by the capture; they pass as they are, unless they are changed")
	}
	for _, n := range c.NotIP {
		g.add("not IP", n.Frames, n.What)
	}
	if c.Written != nil {
		g.add("written", *c.Written, "")
	}
	g.section(w)
}

// printViolations says what --verify found: each violation with what to do instead on a line below.
func printViolations(w io.Writer, r *daemon.Result) {
	if r.Violations == nil {
		return
	}
	if len(r.Violations) == 0 {
		fmt.Fprint(w, "  verified: no violations\n\n")
		return
	}
	g := newGrid("violation of", ">times", "found")
	for _, v := range r.Violations {
		g.add(v.Rule, v.Count, v.Where()+v.Detail)
		g.add("", "", v.Remedy)
	}
	if r.ViolationsMore > 0 {
		g.add("others", r.ViolationsMore, "")
	}
	g.section(w)
}

func printRate(w io.Writer, r *daemon.Result) {
	took := time.Duration(r.DurationNS)
	line := "took " + took.Round(took/1000+1).String()
	if s := took.Seconds(); s > 0 {
		line += fmt.Sprintf(", %s packets/s, %.1f MB/s", thousands(uint64(float64(r.Received)/s)), float64(r.BytesReceived)/s/1e6)
	}
	fmt.Fprintln(w, line)
}

// inWords writes counts as "filter 10, rejected 3", the largest first.
func inWords(counts map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, n := range names {
		names[i] = n + " " + thousands(counts[n])
	}
	return strings.Join(names, ", ")
}
