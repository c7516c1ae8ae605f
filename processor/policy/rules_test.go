package policy_test

import (
	"strings"
	"testing"

	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// Every rule of the processor has a key, and the words reach it.
func TestRules(t *testing.T) {
	text := "version: 1\nrules:\n"
	var want processor.Rules
	for i, rule := range processor.RuleNames() {
		setting := processor.SettingNames()[i%3]
		text += "  " + rule + ": " + setting + "\n"
		if err := want.Set(rule, setting); err != nil {
			t.Fatal(err)
		}
	}
	f, err := policy.Parse("policy.yaml", []byte(text), options)
	if err != nil || f.Rules != want || f.Rules.LowLayer != inject.Report {
		t.Errorf("%v, %+v, want %+v", err, f, want)
	}
	f, err = policy.Parse("policy.yaml", []byte("version: 1\n"), options)
	if err != nil || f.Rules != (processor.Rules{TimeBudget: inject.Off}) {
		t.Errorf("left out: %v, %+v", err, f)
	}
	_, err = policy.Parse("policy.yaml", []byte("version: 1\nrules: {inline-tcp: on, inline: off}\n"), options)
	for _, says := range []string{`policy.yaml:2:21: unknown inline-tcp "on"`, `policy.yaml:2:25: unknown key "inline"; want needless-callout`} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %s", err, says)
		}
	}
}
