package bench

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Gate is a goal: a ratio of two measures of one run, or a measure, and what it must come to. All are in gates.json.
type Gate struct {
	Group   string   `json:"group"`
	What    string   `json:"what"`
	AtLeast *float64 `json:"at_least,omitempty"` // one of the two
	AtMost  *float64 `json:"at_most,omitempty"`
	Top     *Place   `json:"top,omitempty"`
	Bottom  *Place   `json:"bottom,omitempty"` // what it leaves out is as in Top; nil: the goal is for Top itself, in every case
	// Experiment is the GOEXPERIMENT of the build that the goal is for, "" for one without; nil: any.
	Experiment *string `json:"experiment,omitempty"`
	Note       string  `json:"note,omitempty"`
	Why        string  `json:"why,omitempty"` // why it cannot be measured at all
}

// Place names a measure in a report.
type Place struct {
	Scenario string `json:"scenario,omitempty"`
	Case     string `json:"case,omitempty"` // parameters; "" in Top without Bottom: all cases
	Variant  string `json:"variant,omitempty"`
	Metric   string `json:"metric,omitempty"` // "": processor time for each operation
}

// GateState says how a goal stands.
type GateState string

// The states.
const (
	GateMet     GateState = "met"
	GateMissed  GateState = "missed"
	GateUnknown GateState = "not measured"
)

// GateResult is a goal beside what was measured.
type GateResult struct {
	Gate  Gate      `json:"gate"`
	State GateState `json:"state"`
	Got   *Summary  `json:"got,omitempty"` // of the ratios, run by run; the goal is for the median
	Why   string    `json:"why,omitempty"` // it is not measured
}

//go:embed gates.json
var gatesJSON []byte

// Gates returns all goals.
func Gates() ([]Gate, error) {
	var all []Gate
	if err := json.Unmarshal(gatesJSON, &all); err != nil {
		return nil, fmt.Errorf("gates.json: %w", err)
	}
	for i := range all {
		if err := all[i].check(); err != nil {
			return nil, fmt.Errorf("gates.json: %s, %s: %w", all[i].Group, all[i].What, err)
		}
	}
	return all, nil
}

func (g *Gate) check() error {
	if (g.AtLeast == nil) == (g.AtMost == nil) {
		return fmt.Errorf("want one of at_least and at_most")
	}
	if (g.Top == nil) == (g.Why == "") {
		return fmt.Errorf("want one of top and why")
	}
	return nil
}

// Ask is the goal in words: "≥ 15" or "≤ 1.2".
func (g *Gate) Ask() string {
	if g.AtLeast != nil {
		return fmt.Sprintf("≥ %.4g", *g.AtLeast)
	}
	return fmt.Sprintf("≤ %.4g", *g.AtMost)
}

// Judge compares the report with the goal.
func (g *Gate) Judge(r *Report) GateResult {
	res := GateResult{Gate: *g, State: GateUnknown, Why: g.Why}
	if g.Top == nil {
		return res
	}
	if g.Experiment != nil && *g.Experiment != r.Build.Experiment {
		res.Why = "it is for a build with GOEXPERIMENT=" + *g.Experiment
		if *g.Experiment == "" {
			res.Why = "it is for a build without GOEXPERIMENT"
		}
		return res
	}
	series, why := g.series(r)
	if why != "" {
		res.Why = why
		return res
	}
	got := summarize(series)
	res.Got, res.State = &got, GateMissed
	if g.holds(got.Median) {
		res.State = GateMet
	}
	return res
}

// AllocsNone is what counts as no allocation for each operation: the runtime has a few of its own in a run.
const AllocsNone = 0.01

func (g *Gate) holds(v float64) bool {
	if g.AtLeast != nil {
		return v >= *g.AtLeast
	}
	slack := 0.0
	if g.Top.Metric == ByAllocs {
		slack = AllocsNone
	}
	return v <= *g.AtMost+slack
}

// series is what the goal is for, run by run.
func (g *Gate) series(r *Report) (all []float64, why string) {
	if g.Bottom == nil {
		return g.worst(r)
	}
	bottom := *g.Bottom
	fill := func(s *string, from string) {
		if *s == "" {
			*s = from
		}
	}
	fill(&bottom.Scenario, g.Top.Scenario)
	fill(&bottom.Case, g.Top.Case)
	fill(&bottom.Variant, g.Top.Variant)
	fill(&bottom.Metric, g.Top.Metric)
	top, why := r.at(*g.Top)
	if why != "" {
		return nil, why
	}
	low, why := r.at(bottom)
	if why != "" {
		return nil, why
	}
	if all = ratios(top, low); len(all) == 0 {
		return nil, bottom.Variant + " measured nothing"
	}
	return all, ""
}

// worst is the measure in the case where it is largest.
func (g *Gate) worst(r *Report) (all []float64, why string) {
	most, why := math.Inf(-1), "scenario "+g.Top.Scenario+" was not measured"
	for i := range r.Results {
		res := &r.Results[i]
		if res.Scenario != g.Top.Scenario || g.Top.Case != "" && res.Params.String() != g.Top.Case {
			continue
		}
		p := *g.Top
		p.Case = res.Params.String()
		s, missing := r.at(p)
		if missing != "" {
			why = missing
			continue
		}
		if m := summarize(s).Median; m > most {
			most, all = m, s
		}
	}
	if all == nil {
		return nil, why
	}
	return all, ""
}

// at finds a measure.
func (r *Report) at(p Place) (series []float64, why string) {
	for _, u := range r.Unable {
		if u.Scenario == p.Scenario {
			return nil, u.Why
		}
	}
	if !slices.Contains(r.scenarios(), p.Scenario) {
		return nil, "scenario " + p.Scenario + " was not measured"
	}
	res := r.Result(p.Scenario, p.Case)
	if res == nil {
		return nil, "case " + p.Case + " was not measured"
	}
	o := res.Outcome(p.Variant)
	switch {
	case o == nil:
		return nil, p.Variant + " did not take part: see --peers"
	case o.Unable != "":
		return nil, p.Variant + ": " + o.Unable
	}
	metric := p.Metric
	if metric == "" {
		metric = ByCPU
	}
	s := o.Series(metric)
	if s == nil && metric == ByCPU {
		s = o.Series(ByTime) // where the processor's time cannot be read
	}
	if s == nil {
		return nil, p.Variant + " has no " + metric
	}
	return s, ""
}
