package policy

import "github.com/weirnet/weir/processor"

// rules reads the settings; what is not given is enforced. Words that do not fit have been reported, and are left out.
func (s *rulesSpec) rules() (r processor.Rules) {
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
