package processor

import (
	"fmt"
	"sync/atomic"

	"github.com/weirnet/weir/inject"
)

// Rule is one of the seven considerations for callout drivers, as a rule that is kept. Those of injection are inject's.
type Rule uint8

// The rules, in the order of "Callout Driver Programming Considerations".
const (
	RuleNeedlessCallout    Rule = iota // a callout decides what a plain filter could
	RuleLowLayer                       // a callout stands at a lower layer than what it needs
	RuleBlockAtEstablished             // a block at flow-established without a security reason
	RuleTimeBudget                     // a classification took too long
	RuleStaleChecksum                  // see inject.StaleChecksum
	RuleInlineTCP                      // see inject.InlineTCP
	RuleMisaligned                     // see inject.Misaligned
	ruleCount
)

var ruleNames = [ruleCount]string{
	"needless-callout", "low-layer", "block-at-established", "time-budget", "stale-checksum", "inline-tcp", "misaligned",
}

// String returns the rule's name.
func (r Rule) String() string {
	if r < ruleCount {
		return ruleNames[r]
	}
	return fmt.Sprintf("rule(%d)", uint8(r))
}

// Rules are the settings of all rules; the zero value enforces each.
//
// NeedlessCallout and LowLayer are advice on what costs more than it must, and are looked at when a policy comes into force. A
// policy that breaks them decides rightly, so Enforce does not refuse it: that would keep an older policy in force for the sake of
// speed. TimeBudget cannot be enforced, as running code cannot be taken back. For these three Enforce and Report are the same:
// what is found is counted and told. Enforce has a block at flow-established without a reason ignored.
type Rules struct {
	NeedlessCallout, LowLayer, BlockAtEstablished, TimeBudget inject.Setting

	Injection inject.Rules
}

// Violation is one breach of a rule: by which callout or filter, where, and what to do instead.
type Violation struct {
	Rule    Rule
	Layer   Layer  // valid iff Callout or Filter is not empty
	Callout string // empty: none, or out of band
	Filter  string
	Detail  string
	Remedy  string
}

// String tells what was found, where, and what to do instead.
func (v Violation) String() string {
	return v.Found() + "; " + v.Remedy + " (rule: " + v.Rule.String() + ")"
}

// Found tells what was found, and where.
func (v Violation) Found() string {
	where := ""
	if v.Filter != "" {
		where = fmt.Sprintf("filter %q: ", v.Filter)
	}
	if v.Callout != "" {
		where += fmt.Sprintf("callout %q: ", v.Callout)
	}
	return where + v.Detail
}

// violations counts and tells them.
type violations struct {
	tell  func(Violation) // nil: nobody is told
	count [ruleCount]atomic.Uint64
}

func (p *Processor) violated(v Violation) {
	p.violations.count[v.Rule].Add(1)
	if p.violations.tell != nil {
		p.violations.tell(v)
	}
}

func everyFilter(*Filter) bool { return true }

// adviseOn tells what shows of some filters of a policy without a packet. Blocks at flow-established are told when they happen.
func (p *Processor) adviseOn(pol *Policy, which func(*Filter) bool) {
	settings := map[Rule]inject.Setting{RuleNeedlessCallout: p.rules.NeedlessCallout, RuleLowLayer: p.rules.LowLayer}
	for _, v := range pol.advice(*p.callouts.Load(), which) {
		if setting, asked := settings[v.Rule]; asked && setting != inject.Off {
			p.violated(v)
		}
	}
}

// injectionViolated passes on what an injector found.
func (p *Processor) injectionViolated(v inject.Violation) {
	rule := [...]Rule{inject.StaleChecksum: RuleStaleChecksum, inject.InlineTCP: RuleInlineTCP, inject.Misaligned: RuleMisaligned}[v.Rule]
	layer, _ := ParseLayer(v.Layer)
	p.violated(Violation{Rule: rule, Layer: layer, Callout: v.Callout, Detail: v.Detail, Remedy: v.Remedy})
}
