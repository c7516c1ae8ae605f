// Package doctor examines whether packets can be diverted here: what lacks, what that costs, and how to mend it. It tries things
// rather than read versions, and leaves nothing changed. Each check is a file; which there are depends on the system.
package doctor

import (
	"fmt"
	"io"
	"strings"
)

// State is the outcome of a check.
type State string

// The states, from good to bad.
const (
	OK   State = "ok"
	Info State = "info" // worth knowing, nothing lacks
	Warn State = "warn" // something lacks that not everybody needs
	Fail State = "fail" // nothing can be diverted as long as this lacks
)

// Finding is one thing that was looked at.
type Finding struct {
	Check  string `json:"check"` // the check it belongs to, as in "privileges"
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
	Cost   string `json:"cost,omitempty"`   // of what lacks
	Remedy string `json:"remedy,omitempty"` // of what lacks
}

// Report is what an examination found.
type Report struct {
	OK       bool      `json:"ok"` // nothing failed
	Platform string    `json:"platform"`
	Findings []Finding `json:"findings"`
}

// A check looks at one part of the system.
type check struct {
	name string
	run  func() []Finding
}

// Examine runs all checks that this system has. It takes well under a second, and may be run beside a diverting process.
func Examine() *Report { return examine(checks) }

func examine(checks []check) *Report {
	r := &Report{OK: true, Platform: platform(), Findings: []Finding{}}
	for _, c := range checks {
		for _, f := range c.run() {
			f.Check = c.name
			r.OK = r.OK && f.State != Fail
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// WriteTo writes the report as text: a line for each finding, and below those that lack something, what that costs and what
// mends it.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Platform)
	last := ""
	for _, f := range r.Findings {
		if f.Check != last {
			fmt.Fprintf(&b, "\n%s\n", f.Check)
			last = f.Check
		}
		f.write(&b)
	}
	if r.OK {
		b.WriteString("\nPackets can be diverted here.\n")
	} else {
		b.WriteString("\nPackets cannot be diverted here: mend what failed.\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (f *Finding) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %-4s  %s", f.State, f.Name)
	if f.Detail != "" {
		fmt.Fprintf(b, ": %s", f.Detail)
	}
	b.WriteString("\n")
	if f.Cost != "" {
		fmt.Fprintf(b, "        costs  %s\n", f.Cost)
	}
	if f.Remedy != "" {
		fmt.Fprintf(b, "        mend   %s\n", f.Remedy)
	}
}
