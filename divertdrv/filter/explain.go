package filter

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Explanation says how a program answers for one packet or event.
type Explanation struct {
	Filter string `json:"filter"` // the text that the program was compiled from
	Layer  string `json:"layer"`
	Match  bool   `json:"match"`
	Reason string `json:"reason,omitempty"` // why no test was asked: what is no IP packet matches nothing
	Tests  []Step `json:"tests"`            // all of the program, in its order; empty where Reason is given
}

// Step is one test of an Explanation. What a text leaves undecided is here: comparisons that are the same for all packets were
// decided when the program was compiled.
type Step struct {
	Test    int     `json:"test"`            // its number, from 1
	Text    string  `json:"text"`            // as Format writes it
	Value   string  `json:"value,omitempty"` // of the field in this packet; empty where it has none
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`  // why the packet has no such field
	Asked   bool    `json:"asked"`          // the answer depends on it: it stands on the way that was taken
	Next    string  `json:"next,omitempty"` // where the way went on, iff Asked: accept, reject, or the number of a test
}

// Outcome is what a test says about a packet.
type Outcome string

// What a test can say. A test that does not apply fails, whatever its comparison is.
const (
	OutcomeTrue          Outcome = "true"
	OutcomeFalse         Outcome = "false"
	OutcomeNotApplicable Outcome = "not-applicable"
)

// Explain says how Match comes to its answer, and takes the same arguments. It reads every field anew and allocates: it is for
// people, not for every packet.
func (p *Program) Explain(a *addr.Address, pkt []byte, h *wire.Headers) Explanation {
	e := Explanation{Filter: p.src, Layer: p.layer.String(), Tests: []Step{}}
	s := subject{p.layer, p.compat22, a, pkt, nil}
	if p.layer <= addr.NetworkForward {
		if s.h = h; h == nil {
			s.h = new(wire.Headers)
			wire.Parse(pkt, s.h)
		}
		if s.h.Version == 0 {
			e.Reason = "no IP packet"
			return e
		}
	}
	way := uint16(0)
	for i := range p.tests {
		t := &p.tests[i]
		step := s.step(&t.comparison)
		step.Test = i + 1
		if step.Asked = way == uint16(i); step.Asked {
			if way = t.fail; step.Outcome == OutcomeTrue {
				way = t.succ
			}
			step.Next = edgeName(way)
		}
		e.Tests = append(e.Tests, step)
	}
	e.Match = way == accept
	return e
}

func (s *subject) step(c *comparison) Step {
	step := Step{Text: c.spell(s.layer), Outcome: OutcomeNotApplicable}
	v, none := s.value(c)
	if step.Why = none; none != "" {
		return step
	}
	step.Value, step.Outcome = spellValue(c.field, v, s.layer), OutcomeFalse
	compared := *c
	compared.truncate()
	if c.op.holds(v.cmp(compared.value)) {
		step.Outcome = OutcomeTrue
	}
	return step
}

func edgeName(edge uint16) string {
	switch edge {
	case accept:
		return "accept"
	case reject:
		return "reject"
	}
	return fmt.Sprint(edge + 1)
}

// String returns a table of the tests, one to a line, and the answer.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.Layer, printable(e.Filter))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i := range e.Tests {
		t := &e.Tests[i]
		says, next := string(t.Outcome), "not asked"
		if t.Why != "" {
			says = "not applicable: " + t.Why
		}
		if t.Asked {
			next = "-> " + t.Next
		}
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", t.Test, t.Text, t.Value, says, next)
	}
	_ = w.Flush() // a strings.Builder takes everything
	switch {
	case e.Match:
		b.WriteString("match\n")
	case e.Reason != "":
		b.WriteString("no match: " + e.Reason + "\n")
	default:
		b.WriteString("no match\n")
	}
	return b.String()
}
