package processor

import (
	"fmt"
	"strings"
)

// String tells it to a person: a line for the packet, a block for each layer with its sublayers, filters and tests, and the verdict.
func (e *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", e.Packet)
	if e.Flow != "" {
		fmt.Fprintf(&b, "flow: %s\n", e.Flow)
	}
	for i := range e.Layers {
		e.Layers[i].write(&b)
	}
	switch e.Verdict {
	case "drop":
		fmt.Fprintf(&b, "verdict: drop (%s): %s\n", e.Cause, e.Decided)
	default:
		fmt.Fprintf(&b, "verdict: %s\n", e.Verdict)
	}
	if e.Injected > 0 {
		fmt.Fprintf(&b, "callouts put in %d packets, which went nowhere here\n", e.Injected)
	}
	return b.String()
}

func (l *LayerExplanation) write(b *strings.Builder) {
	fmt.Fprintf(b, "layer %s", l.Layer)
	if l.Reauth {
		b.WriteString(", reauthorisation")
	}
	if l.Discarded != "" {
		fmt.Fprintf(b, ", discarded: %s", l.Discarded)
	}
	b.WriteString("\n")
	if len(l.Sublayers) == 0 {
		b.WriteString("  no filters\n")
	}
	for i := range l.Sublayers {
		l.Sublayers[i].write(b)
	}
	if len(l.Sublayers) == 0 {
		return
	}
	fmt.Fprintf(b, "  => %s", l.Action)
	switch {
	case l.By == "":
		b.WriteString(": no filter decides, so it goes on")
	case l.Veto:
		fmt.Fprintf(b, " by %q, a veto", l.By)
	default:
		fmt.Fprintf(b, " by %q", l.By)
	}
	if l.Ignored != "" {
		fmt.Fprintf(b, "; it does not count: %s", l.Ignored)
	}
	b.WriteString("\n")
}

func (s *SublayerExplanation) write(b *strings.Builder) {
	fmt.Fprintf(b, "  sublayer %s, right to write %s -> %s\n", s.Sublayer, yesNo(s.Before), yesNo(s.After))
	for i := range s.Filters {
		s.Filters[i].write(b)
	}
}

func (f *FilterExplanation) write(b *strings.Builder) {
	fmt.Fprintf(b, "    filter %q, weight %d, %s", f.Filter, f.Weight, f.Action)
	if f.Callout != "" {
		fmt.Fprintf(b, " %q", f.Callout)
	}
	if f.Matches {
		fmt.Fprintf(b, ": matches, says %s\n", f.Verdict)
	} else {
		b.WriteString(": no match\n")
	}
	defer f.writeSets(b)
	if f.When == nil {
		if f.Sets == nil {
			b.WriteString("      no conditions\n")
		}
		return
	}
	if f.When.Reason != "" {
		fmt.Fprintf(b, "      %s: %s\n", f.When.Filter, f.When.Reason)
	}
	for _, t := range f.When.Tests {
		if !t.Asked {
			continue
		}
		says := string(t.Outcome)
		if t.Why != "" {
			says = "not applicable, " + t.Why
		} else if t.Value != "" {
			says = "value " + t.Value + ", " + says
		}
		fmt.Fprintf(b, "      %s: %s\n", t.Text, says)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
