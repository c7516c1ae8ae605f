package inject

import (
	"fmt"
	"sync/atomic"
)

// Rule is one of the considerations for callout drivers that injection keeps (numbers 5 to 7 of "Callout Driver Programming
// Considerations").
type Rule uint8

// The rules.
const (
	StaleChecksum Rule = iota // an IPv4 header checksum that is wrong, on the receive path
	InlineTCP                 // TCP put in while a transport layer or a layer above classifies
	Misaligned                // an IP header that is not pointer-aligned, on the outgoing path
	ruleEnd
)

var ruleNames = [ruleEnd]string{"stale-checksum", "inline-tcp", "misaligned"}

// String returns the rule's name as policies and metrics write it.
func (r Rule) String() string {
	if r < ruleEnd {
		return ruleNames[r]
	}
	return fmt.Sprintf("rule(%d)", uint8(r))
}

// Setting says what is done about a violation of a rule.
type Setting uint8

// The settings. Enforce is the zero value.
const (
	Enforce Setting = iota // the packet is repaired or refused, and the violation is counted and told
	Report                 // it is counted and told; the packet goes its way as it is
	Off                    // nobody looks
)

// String returns "enforce", "report" or "off".
func (s Setting) String() string { return [...]string{"enforce", "report", "off"}[min(s, Off)] }

// Rules is the setting of each rule; the zero value enforces all.
type Rules struct{ StaleChecksum, InlineTCP, Misaligned Setting }

func (r *Rules) of(rule Rule) Setting {
	return [ruleEnd]Setting{StaleChecksum: r.StaleChecksum, InlineTCP: r.InlineTCP, Misaligned: r.Misaligned}[rule]
}

// Violation is one breach of a rule. It is an error, which Inject returns where the rule refuses.
type Violation struct {
	Rule    Rule
	Path    Path
	Layer   string // where the scope is open; empty out of band
	Callout string // whose classification it is; empty out of band
	Detail  string // what was found
	Remedy  string // what to do instead
	cause   error
}

// Error tells what was found, where, and what to do instead.
func (v *Violation) Error() string {
	where := ""
	if v.Layer != "" {
		where = " at " + v.Layer
	}
	if v.Callout != "" {
		where += fmt.Sprintf(" by callout %q", v.Callout)
	}
	return v.Detail + where + ": " + v.Remedy
}

// Unwrap returns the sentinel of the rule.
func (v *Violation) Unwrap() error { return v.cause }

// watch counts violations and tells them.
type watch struct {
	rules Rules
	tell  func(Violation)
	count [ruleEnd]atomic.Uint64
}

// looks says whether anybody wants to know of violations of a rule.
func (w *watch) looks(r Rule) bool { return w.rules.of(r) != Off }

// enforces says whether they are repaired or refused.
func (w *watch) enforces(r Rule) bool { return w.rules.of(r) == Enforce }

// breached counts a violation, and says whether somebody wants to be told.
func (w *watch) breached(r Rule) bool {
	w.count[r].Add(1)
	return w.tell != nil
}

// report completes a violation with where and whose it is, and tells it.
func (w *watch) report(s *Scope, v *Violation) {
	if s != nil && s.open {
		v.Layer, v.Callout = s.layer, s.callout
	}
	if w.tell != nil {
		w.tell(*v)
	}
}
