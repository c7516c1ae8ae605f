package processor

import (
	"cmp"
	"maps"
	"sync"
	"sync/atomic"
)

// FilterStats counts what a filter did.
type FilterStats struct {
	Name      string
	Layer     Layer
	Callout   string // the name of the callout that it names; empty for a plain filter
	Matched   uint64 // packets that met its conditions when it was asked
	Permitted uint64 // of these, those that it permitted
	Blocked   uint64 // packets that were dropped by its word
	Vetoes    uint64 // of these, those that had been permitted for good
}

// Stats is a snapshot of what a processor did.
type Stats struct {
	Filters []FilterStats // of the policy in force, in its order

	Undecoded    uint64 // packets that are not IP, or broken
	Deferred     uint64 // calls that callouts deferred
	DeferRefused uint64 // those for which there was no room
	Held         uint64 // packets that callouts held
	Parked       uint64 // packets that waited behind deferred or held ones of their flow
	ParkRefused  uint64 // those for which there was no room; they were dropped
	Panics       uint64 // of callouts, in Classify or deferred
	Breaches     uint64 // callouts that broke the contract of their type
	Pended       uint64 // first packets of flows that callouts pended
	Refused      uint64 // packets of flows that were refused before, at an ALE layer or by an abort
	Aborted      uint64 // flows that callouts ended
	Judged       uint64 // times that a flow was left to the kernel; see Classification.Judge
	JudgeRefused uint64 // times that there was no room for one

	Flows        uint64 // flows that are remembered now
	FlowsOpened  uint64 // flows ever
	FlowsEvicted uint64 // flows that were forgotten for new ones
	FlowsIdle    uint64 // flows that ended because they were silent

	Violations [ruleCount]uint64 // by Rule, whether enforced or reported
	Callouts   []CalloutStats    // of the policy in force, in the order of first use
}

// counters are one worker's. It alone adds; anybody may read.
type counters struct {
	undecoded, deferred, deferRefused, heldPackets, parked, parkRefused, panics, breaches atomic.Uint64
	pended, refusedPackets, aborted, judged, judgeRefused                                 atomic.Uint64

	mu      sync.Mutex // guards all below
	current *Policy
	filters []filterCounters
	past    map[string]FilterStats // of filters of earlier policies, by name; at most pastMax, but for those of the current
	times   map[string]*calloutTimes
}

// pastMax bounds the filters whose counts are kept though they may never come back.
const pastMax = 4096

type filterCounters struct{ matched, permitted, blocked, vetoes atomic.Uint64 }

// adopt makes room for the filters and callouts of a new policy; what was counted for the old one is kept by name.
func (c *counters) adopt(pol *Policy) ([]filterCounters, []*calloutTimes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.past == nil {
		c.past = make(map[string]FilterStats)
	}
	c.fold(c.past)
	c.current, c.filters = pol, make([]filterCounters, len(pol.filters))
	if len(c.past) > pastMax {
		maps.DeleteFunc(c.past, func(name string, _ FilterStats) bool { return !pol.has(name) })
	}
	times := make(map[string]*calloutTimes)
	byFilter := make([]*calloutTimes, len(pol.filters))
	for i := range pol.filters {
		f := &pol.filters[i]
		name := f.calloutName()
		if name == "" {
			continue
		}
		if times[name] == nil {
			times[name] = cmp.Or(c.times[name], new(calloutTimes))
		}
		byFilter[i] = times[name]
	}
	c.times = times
	return c.filters, byFilter
}

// fold adds the counts of the current policy to by. It needs c.mu.
func (c *counters) fold(by map[string]FilterStats) {
	for i := range c.filters {
		n, name := &c.filters[i], c.current.filters[i].Name
		s := by[name]
		s.Matched += n.matched.Load()
		s.Permitted += n.permitted.Load()
		s.Blocked += n.blocked.Load()
		s.Vetoes += n.vetoes.Load()
		by[name] = s
	}
}

// addTimes adds how long callouts took.
func (c *counters) addTimes(all []CalloutStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range all {
		if t := c.times[all[i].Name]; t != nil {
			t.addTo(&all[i])
		}
	}
}

// addTo adds all that this worker counted.
func (c *counters) addTo(s *Stats, by map[string]FilterStats) {
	s.Undecoded += c.undecoded.Load()
	s.Deferred += c.deferred.Load()
	s.DeferRefused += c.deferRefused.Load()
	s.Held += c.heldPackets.Load()
	s.Parked += c.parked.Load()
	s.ParkRefused += c.parkRefused.Load()
	s.Panics += c.panics.Load()
	s.Breaches += c.breaches.Load()
	s.Pended += c.pended.Load()
	s.Refused += c.refusedPackets.Load()
	s.Aborted += c.aborted.Load()
	s.Judged += c.judged.Load()
	s.JudgeRefused += c.judgeRefused.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.past {
		t := by[name]
		t.Matched += p.Matched
		t.Permitted += p.Permitted
		t.Blocked += p.Blocked
		t.Vetoes += p.Vetoes
		by[name] = t
	}
	c.fold(by)
}

// Stats returns a snapshot. Filters that an earlier policy had under the same name go on counting.
func (p *Processor) Stats() Stats {
	var s Stats
	by := make(map[string]FilterStats)
	for _, w := range p.workers {
		w.counts.addTo(&s, by)
		w.flows.addTo(&s)
	}
	for r := range s.Violations {
		s.Violations[r] = p.violations.count[r].Load()
	}
	pol := p.policy.Load()
	seen := map[string]bool{}
	for i := range pol.filters {
		if name := pol.filters[i].calloutName(); name != "" && !seen[name] {
			seen[name] = true
			s.Callouts = append(s.Callouts, CalloutStats{Name: name})
		}
	}
	for _, w := range p.workers {
		w.counts.addTimes(s.Callouts)
	}
	for i := range pol.filters {
		f := &pol.filters[i]
		n := by[f.Name]
		n.Name, n.Layer, n.Callout = f.Name, f.Layer, f.calloutName()
		s.Filters = append(s.Filters, n)
	}
	return s
}
