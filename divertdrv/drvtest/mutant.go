package drvtest

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// mutant is a driver that breaks the contract in one way: a rule that no mutant can break would say nothing.
type mutant struct {
	name   string
	breaks []string // the rules that must fail, and no others; those that end in /* stand for a group
	blind  bool     // it refuses so much that rules are skipped
	twist
}

// A mutant that never answers is not waited for long. A machine that is busy may then look like one: what fails unexpectedly
// is asked again with more patience.
const (
	mutantPatience = 200 * time.Millisecond
	secondPatience = 5 * time.Second
)

// TestMutants breaks the driver of s on purpose, in each way that the suite knows, and checks that exactly the rules fail that
// should; and that there is no rule that no mutant fails, but for those that Handle keeps whatever the driver does. The World must
// lack nothing. Under the race detector it makes every fourth mutant only, so what the rules catch is not added up.
func TestMutants(t *testing.T, s Setup) {
	s.Patience = mutantPatience
	caught := catchAll(t, s)
	if mutantShare > 1 {
		return
	}
	for _, r := range Rules() {
		if caught[r.Name] == keptByHandle[r.Name] {
			t.Errorf("%s: caught a mutant: %v, kept by Handle: %v; want one of them", r.Name, caught[r.Name], keptByHandle[r.Name])
		}
	}
}

// catchAll runs the suite on every mutant, several at a time, and returns the rules that caught one.
func catchAll(t *testing.T, s Setup) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	caught := map[string]bool{}
	room := make(chan struct{}, 16) // some of them only wait
	for i, m := range mutants() {
		if i%mutantShare != 0 {
			continue
		}
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			failed, complaints := m.judge(s)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range failed {
				caught[r] = true
			}
			for _, c := range complaints {
				t.Errorf("mutant %q: %s", m.name, c)
			}
		})
	}
	all.Wait()
	return caught
}

// judge runs the suite on the mutant. It returns the rules that failed, and what is wrong about that.
func (m *mutant) judge(s Setup) (failed, complaints []string) {
	s.New = m.world(s.New)
	res := Check(s)
	for r, lack := range res.Skipped {
		if m.blind {
			break
		}
		complaints = append(complaints, r+" was not run: no "+lack)
	}
	want := m.expected()
	for _, r := range slices.Sorted(maps.Keys(res.Failed)) {
		switch {
		case slices.Contains(want, r), scheduled[r]:
			failed = append(failed, r)
		case fails(s, r, secondPatience):
			complaints = append(complaints, r+" failed too: "+strings.Join(res.Failed[r], "; "))
		}
	}
	for _, r := range difference(want, failed) {
		if again(s, r) {
			failed = append(failed, r)
		} else {
			complaints = append(complaints, r+" did not fail")
		}
	}
	return failed, complaints
}

// again gives a rule that depends on who is faster a few more chances to see what is wrong.
func again(s Setup, name string) bool {
	const chances = 5
	for range chances {
		if fails(s, name, s.Patience) {
			return true
		}
	}
	return false
}

func fails(s Setup, name string, patience time.Duration) bool {
	s.Patience = patience
	rules := Rules()
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return record(func(t T) { survey(t, &s) }) != nil
	}
	return record(func(t T) { rules[i].run(t, &s) }) != nil
}

// expected resolves groups.
func (m *mutant) expected() (names []string) {
	for _, b := range m.breaks {
		group, whole := strings.CutSuffix(b, "*")
		if !whole {
			names = append(names, b)
			continue
		}
		for _, r := range Rules() {
			if strings.HasPrefix(r.Name, group) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

// scheduled are the rules that run goroutines against each other: whether one of them meets a mutant that breaks few other
// rules is up to the scheduler, so it may.
var scheduled = map[string]bool{
	"race/everything-at-once": true, "race/shutdown-and-close": true, "close/while-receiving": true,
}

func mutants() []mutant {
	return slices.Concat(
		openMutants, addressMutants, walkMutants, flagMutants, queueMutants, batchMutants,
		holdMutants, injectMutants, endMutants, paramMutants, eventMutants,
	)
}
