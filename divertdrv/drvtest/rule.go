package drvtest

import "slices"

// Rule is one sentence of the contract as a test.
type Rule struct {
	Name string // group/rule, the name of its subtest
	Ref  string // where the sentence is written: a section of WinDivert's documentation (2.2), or a name of package divertdrv

	needs []need
	test  func(p *probe)
}

// Rules returns the suite, in the order of the contract.
func Rules() []Rule {
	return slices.Concat(
		openRules, filterRules, addressRules, priorityRules, impostorRules,
		sniffRules, directionRules, fragmentRules,
		queueRules, overloadRules, batchRules, completeRules, holdRules, deadlineRules,
		passRules, modifyRules, injectRules, shutdownRules, closeRules,
		paramRules, statsRules, raceRules, forwardRules,
		reflectRules, flowRules, socketRules,
	)
}

// run asks one World whether it obeys.
func (r *Rule) run(t T, s *Setup, has abilities) {
	t.Helper()
	r.test(newProbe(t, s, has))
}
