// Package mutants has the tests of the conformance suite itself: drivers that break the contract, each in one way, and which
// rules must tell. A rule that no driver can break would say nothing.
package mutants

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
)

// mutant is the simulator with one fault.
type mutant struct {
	name   string
	breaks []string // the rules that are about this fault, and must fail; others may
	twist
}

// patience is short, since mutants may never answer. On a busy machine a rule may then fail for want of time; that it passes
// where nothing is broken is TestSound's to show, which is patient.
const patience = 300 * time.Millisecond

func mutants() []mutant {
	return slices.Concat(
		openMutants, addressMutants, walkMutants, flagMutants, queueMutants, batchMutants,
		holdMutants, injectMutants, endMutants, paramMutants, eventMutants,
	)
}

func (m *mutant) setup(patience time.Duration) drvtest.Setup {
	return drvtest.Setup{Patience: patience, New: m.world(func(t drvtest.T) *drvtest.World {
		return simtest.New(t, simdrv.Config{Interfaces: simtest.Interfaces(), HeaderAlign: 8})
	})}
}

// Every mutant is caught by the rules that are about its fault. With WEIR_LONG=1 and -v it is told which others fail too.
func TestMutants(t *testing.T) {
	for _, m := range mutants() {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			if len(m.breaks) == 0 {
				t.Error("no rule is named that must catch it")
			}
			for _, r := range m.breaks {
				if !m.caught(r) {
					t.Errorf("%s passes", r)
				}
			}
			if os.Getenv("WEIR_LONG") != "" {
				res := drvtest.Check(m.setup(patience))
				t.Logf("%s: these fail: %s", m.name, strings.Join(slices.Sorted(maps.Keys(res.Failed)), " "))
			}
		})
	}
}

// caught asks a rule a few times: those that run goroutines against each other may miss a fault that shows only sometimes.
func (m *mutant) caught(rule string) bool {
	const chances = 5
	for range chances {
		if _, failed := drvtest.Check(m.setup(patience), rule).Failed[rule]; failed {
			return true
		}
	}
	return false
}

// What the mutants are made of breaks nothing by itself.
func TestSound(t *testing.T) {
	sound := mutant{name: "sound"}
	res := drvtest.Check(sound.setup(0))
	for rule, complaints := range res.Failed {
		t.Errorf("%s: %s", rule, strings.Join(complaints, "; "))
	}
	for rule, lack := range res.Skipped {
		t.Errorf("%s is skipped: %s", rule, lack)
	}
}

// Every rule catches a mutant, or is one that no driver can break.
func TestEveryRuleCatches(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range mutants() {
		for _, r := range m.breaks {
			caught[r] = true
		}
	}
	for _, r := range drvtest.Rules() {
		if caught[r.Name] == (keptByHandle[r.Name] != "") {
			t.Errorf("%s: named by a mutant: %v; kept by Handle: %q; want one of them", r.Name, caught[r.Name], keptByHandle[r.Name])
		}
		delete(caught, r.Name)
	}
	for name := range caught {
		t.Errorf("%s is named by a mutant, and no rule", name)
	}
	if n := len(mutants()); n < 25 {
		t.Errorf("%d mutants", n)
	}
}
