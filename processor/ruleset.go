package processor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirnet/weir/inject"
)

// RuleNames returns the names of all rules in order.
func RuleNames() []string { return ruleNames[:] }

// SettingNames returns the words for what is done about a rule.
func SettingNames() []string {
	return []string{inject.Enforce.String(), inject.Report.String(), inject.Off.String()}
}

// Set sets a rule, both by their names. The error names the words that there are.
func (r *Rules) Set(rule, setting string) error {
	at, ok := map[string]*inject.Setting{
		RuleNeedlessCallout.String(): &r.NeedlessCallout, RuleLowLayer.String(): &r.LowLayer,
		RuleBlockAtEstablished.String(): &r.BlockAtEstablished, RuleTimeBudget.String(): &r.TimeBudget,
		RuleStaleChecksum.String(): &r.Injection.StaleChecksum, RuleInlineTCP.String(): &r.Injection.InlineTCP,
		RuleMisaligned.String(): &r.Injection.Misaligned,
	}[rule]
	if !ok {
		return fmt.Errorf("unknown rule %q: want one of %s", rule, strings.Join(RuleNames(), ", "))
	}
	i := slices.Index(SettingNames(), setting)
	if i < 0 {
		return fmt.Errorf("unknown setting %q: want one of %s", setting, strings.Join(SettingNames(), ", "))
	}
	*at = inject.Setting(i)
	return nil
}
