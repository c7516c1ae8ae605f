package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report is what was measured, where, and when. Reports of scenarios that ran on one machine can be joined.
type Report struct {
	Version  int          `json:"weir_bench"` // of this form
	Machine  Machine      `json:"machine"`
	Build    Build        `json:"build"`
	Date     time.Time    `json:"date"`
	Settings SettingsUsed `json:"settings"`
	Overhead Overhead     `json:"overhead"`
	Results  []Result     `json:"results"`
	Unable   []NotRun     `json:"unable,omitempty"`
}

// ReportVersion is the version of the JSON form that this program writes and reads.
const ReportVersion = 1

// SettingsUsed are the settings of the first scenario.
type SettingsUsed struct {
	Seed uint64        `json:"seed"`
	Runs int           `json:"runs"`
	Time time.Duration `json:"time_ns"`
}

// NotRun is a scenario that could not run.
type NotRun struct {
	Scenario string `json:"scenario"`
	Why      string `json:"why"`
}

// Result is a case that was measured.
type Result struct {
	Scenario string    `json:"scenario"`
	Params   Params    `json:"params,omitempty"`
	Op       string    `json:"op"`
	By       string    `json:"by"` // the metric that ratios are of
	Outcomes []Outcome `json:"variants"`
}

// Outcome is a variant that was measured, or could not be.
type Outcome struct {
	Variant  string             `json:"variant"`
	Peer     bool               `json:"peer"`
	About    string             `json:"about,omitempty"`
	Unable   string             `json:"unable,omitempty"` // why it could not run
	Measures map[string]Summary `json:"measures,omitempty"`
	// Ratio says how many times better the case's first variant is, run by run. It is not there for the first itself.
	Ratio *Summary `json:"ratio,omitempty"`
	// Latency is that of all runs together.
	Latency map[string]time.Duration `json:"latency_ns,omitempty"`
	Runs    []Sample                 `json:"runs,omitempty"`
}

// Name is the result's name among those of all scenarios: "filter/filter=medium".
func (r *Result) Name() string {
	if len(r.Params) == 0 {
		return r.Scenario
	}
	return r.Scenario + "/" + r.Params.String()
}

// Outcome finds a variant; nil: there is none.
func (r *Result) Outcome(variant string) *Outcome {
	for i := range r.Outcomes {
		if r.Outcomes[i].Variant == variant {
			return &r.Outcomes[i]
		}
	}
	return nil
}

// Result finds the case of a scenario; nil: there is none.
func (r *Report) Result(scenario, params string) *Result {
	for i := range r.Results {
		if x := &r.Results[i]; x.Scenario == scenario && x.Params.String() == params {
			return x
		}
	}
	return nil
}

// Join adds what another report of the same run has.
func (r *Report) Join(o Report) {
	if r.Version == 0 {
		*r = o
		return
	}
	r.Results = append(r.Results, o.Results...)
	r.Unable = append(r.Unable, o.Unable...)
}

// Series is a metric of a variant, run by run; nil if it was not measured.
func (o *Outcome) Series(name string) []float64 { return metric(name).series(o.Runs) }

// summarize fills in what follows from the runs.
func (r *Result) summarize() {
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		o.Measures = map[string]Summary{}
		for _, m := range metricsOf(o.Runs) {
			if s := m.series(o.Runs); s != nil {
				o.Measures[m.Name] = summarize(s)
			}
		}
		o.latencies()
	}
	if len(r.Outcomes) == 0 {
		return
	}
	first := &r.Outcomes[0]
	if first.Series(r.By) == nil && r.By == ByCPU {
		r.By = ByTime // where the processor's time cannot be read
	}
	ours := first.Series(r.By)
	for i := range r.Outcomes[1:] {
		o := &r.Outcomes[i+1]
		if all := better(metric(r.By), ours, o.Series(r.By)); len(all) > 0 {
			s := summarize(all)
			o.Ratio = &s
		}
	}
}

// better says run by run how many times better ours is than theirs.
func better(m Metric, ours, theirs []float64) []float64 {
	if m.Higher {
		return ratios(ours, theirs)
	}
	return ratios(theirs, ours)
}

func (o *Outcome) latencies() {
	all := NewLatency()
	for i := range o.Runs {
		if l := o.Runs[i].Latency; l != nil {
			all.Merge(l)
		}
	}
	if all.Count() == 0 {
		return
	}
	o.Latency = map[string]time.Duration{}
	for _, q := range []float64{50, 90, 99, 99.9, 99.99, 100} {
		o.Latency[fmt.Sprint("p", q)] = all.Percentile(q)
	}
}

// WriteJSON writes the report; ReadReport reads it.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// ReadReport reads what WriteJSON wrote.
func ReadReport(from io.Reader) (Report, error) {
	var r Report
	if err := json.NewDecoder(from).Decode(&r); err != nil {
		return r, fmt.Errorf("not a report of weir bench --json: %w", err)
	}
	if r.Version == 0 {
		return r, errors.New("not a report of weir bench --json: it has no weir_bench")
	}
	if r.Version != ReportVersion {
		return r, fmt.Errorf("a report of version %d, this program reads version %d", r.Version, ReportVersion)
	}
	return r, nil
}

// scenarios lists those in the report, in order.
func (r *Report) scenarios() (all []string) {
	for i := range r.Results {
		if s := r.Results[i].Scenario; !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// String of a machine, for headings.
func (m Machine) String() string {
	words := []string{m.CPU, fmt.Sprintf("%d processors", m.Processors)}
	if m.Memory > 0 {
		words = append(words, fmt.Sprintf("%.0f GiB", float64(m.Memory)/(1<<30)))
	}
	if m.Kernel != "" {
		words = append(words, m.Kernel)
	}
	return strings.Join(words, ", ")
}
