package bench

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// figure says what a plot takes from a report: a measure over a parameter, the others fixed.
type figure struct {
	title, about string
	scenario     string
	x            string // the parameter
	fixed        string // others, as in Params.Has
	xLabel       string
	yLabel       string
	logX         bool
	of           func(o *Outcome) (float64, bool)
}

// cost is nanoseconds for an operation, rate and volume what one processor would do in a second if it did nothing else. They go by
// the processor's time, so that a busy machine does not change them.
func cost(o *Outcome) (float64, bool) {
	m, ok := o.Measures[ByCPU]
	if !ok {
		m, ok = o.Measures[ByTime]
	}
	return m.Median, ok && m.Median > 0
}

func rateOf(o *Outcome) (float64, bool) {
	ns, ok := cost(o)
	return 1e9 / ns, ok
}

func volume(o *Outcome) (float64, bool) {
	ns, ok := cost(o)
	if !ok || len(o.Runs) == 0 || o.Runs[0].Ops == 0 {
		return 0, false
	}
	return float64(o.Runs[0].Bytes) / float64(o.Runs[0].Ops) * 8e9 / ns, true
}

var figures = []figure{
	{"Rate by packet size", "pipeline, 1 rule: packets/s of one processor", "pipeline", "size", "rules=1", "bytes", "packets/s", true, rateOf},
	{"Cost by number of rules", "pipeline, 60 bytes: nanoseconds a packet", "pipeline", "rules", "size=60", "rules", "ns", true, cost},
	{"Cost by number of filters", "classify, from Recv to Complete: nanoseconds a packet", "classify", "filters", "set=mixed", "filters", "ns", true, cost},
	{"Cost by number of flows", "flows, from Recv to Complete: nanoseconds a packet", "flows", "flows", "", "flows", "ns", true, cost},
	{"Lookup of a flow", "lookup: nanoseconds", "lookup", "flows", "", "flows", "ns", true, cost},
	{"Checksum by size", "bit/s of one processor", "checksum", "size", "", "bytes", "bit/s", true, volume},
}

// plot draws a figure; ok is false where the report has less than two points of it.
func (f *figure) plot(r *Report) (p plot, ok bool) {
	p = plot{title: f.title, about: f.about, x: axis{label: f.xLabel, log: f.logX}, y: axis{label: f.yLabel, log: true}}
	ticks := map[float64]bool{}
	for i := range r.Results {
		res := &r.Results[i]
		x, err := strconv.ParseFloat(res.Params.Get(f.x), 64)
		if res.Scenario != f.scenario || !res.Params.Has(f.fixed) || err != nil {
			continue
		}
		for j := range res.Outcomes {
			o := &res.Outcomes[j]
			if y, known := f.of(o); known {
				p.add(o, point{x, y})
				ticks[x] = true
			}
		}
	}
	for x := range ticks {
		p.x.ticks = append(p.x.ticks, tick{x, short(x)})
	}
	slices.SortFunc(p.x.ticks, func(a, b tick) int { return int(a.at - b.at) })
	p.lines = slices.DeleteFunc(p.lines, func(l line) bool { return len(l.points) < 2 })
	p.lines = p.lines[:min(len(p.lines), linesMax)]
	return p, len(p.lines) > 0
}

// add adds a point to the variant's line.
func (p *plot) add(o *Outcome, at point) {
	i := slices.IndexFunc(p.lines, func(l line) bool { return l.name == o.Variant })
	if i < 0 {
		i = len(p.lines)
		p.lines = append(p.lines, line{name: o.Variant, ours: !o.Peer})
	}
	p.lines[i].points = append(p.lines[i].points, at)
}

// The percentiles of a latency plot, and which of them are named.
var (
	latencyPercentiles = []float64{0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99}
	latencyTicks       = []tick{{tail1(0), "0"}, {tail1(50), "50 %"}, {tail1(90), "90 %"}, {tail1(99), "99 %"}, {tail1(99.9), "99.9 %"}, {tail1(99.99), "99.99 %"}}
)

// tail1 stretches the upper percentiles: 90, 99 and 99.9 are as far from each other.
func tail1(q float64) float64 { return -math.Log10(1 - q/100) }

// latencyPlot shows how latencies are distributed in a case; ok is false where none were measured.
func latencyPlot(r *Result) (p plot, ok bool) {
	p = plot{
		title: "Latency: " + r.Name(), about: r.Op + ", microseconds by percentile",
		x: axis{label: "percentile", ticks: latencyTicks}, y: axis{log: true},
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		all := NewLatency()
		for k := range o.Runs {
			if l := o.Runs[k].Latency; l != nil {
				all.Merge(l)
			}
		}
		for _, q := range latencyPercentiles {
			if n := float64(all.Count()); n > 0 && (1-q/100)*n >= 1 {
				p.add(o, point{tail1(q), float64(all.Percentile(q)) / float64(time.Microsecond)})
			}
		}
	}
	p.lines = p.lines[:min(len(p.lines), linesMax)]
	return p, len(p.lines) > 0
}

// bars are the variants of a case beside each other.
type bars struct {
	Title string
	Rows  []barRow
}

type barRow struct {
	Name  string
	Value string
	Ratio string
	Share float64 // percent of the longest
	Ours  bool
	Why   string // it could not run
}

// barsOf compares the variants of a case that has peers, by its own metric.
func barsOf(r *Result) (b bars, ok bool) {
	b.Title = r.Name()
	most := 0.0
	for i := range r.Outcomes {
		most = max(most, r.Outcomes[i].Measures[r.By].Median)
		ok = ok || r.Outcomes[i].Peer
	}
	if most == 0 || !ok {
		return b, false
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		row := barRow{Name: o.Variant, Ours: !o.Peer, Why: o.Unable}
		if m, known := o.Measures[r.By]; known {
			row.Value, row.Share = unitText(m.Median, r.By), 100*m.Median/most
		}
		if o.Ratio != nil {
			row.Ratio = short(o.Ratio.Median) + "×"
		}
		b.Rows = append(b.Rows, row)
	}
	return b, true
}

// unitText writes a value with the unit of its metric.
func unitText(v float64, metric string) string {
	switch metric {
	case ByCPU, ByTime, ByP50, ByP99:
		switch {
		case v >= 1e6:
			return short(v/1e6) + " ms"
		case v >= 1e4:
			return short(v/1e3) + " µs"
		}
		return short(v) + " ns"
	}
	return short(v) + " " + metric
}
