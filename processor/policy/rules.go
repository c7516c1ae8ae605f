package policy

import "github.com/weirnet/weir/processor"

// rules reads the settings. What is not given is enforced, but for the time budget: looking at the clock costs about as much as a
// small callout, and makes what is counted depend on the machine. Words that do not fit have been reported, and are left out.
func (s *rulesSpec) rules() (r processor.Rules) {
	if s.TimeBudget == "" {
		s.TimeBudget = "off"
	}
	for rule, setting := range map[processor.Rule]string{
		processor.RuleNeedlessCallout: s.NeedlessCallout, processor.RuleLowLayer: s.LowLayer,
		processor.RuleBlockAtEstablished: s.BlockAtEstablished, processor.RuleTimeBudget: s.TimeBudget,
		processor.RuleStaleChecksum: s.StaleChecksum, processor.RuleInlineTCP: s.InlineTCP, processor.RuleMisaligned: s.Misaligned,
	} {
		if setting != "" {
			_ = r.Set(rule.String(), setting)
		}
	}
	return r
}
