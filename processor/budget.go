package processor

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/inject"
)

// BudgetDefault is how long a callout may take for a packet: what Microsoft's guidelines allow a DPC, at whose level callouts run.
const BudgetDefault = 100 * time.Microsecond

const (
	// TookBuckets is the number of buckets of CalloutStats.Took.
	TookBuckets = 24
	tookFirst   = 8 // the first bucket ends at 2^8 ns
)

// CalloutStats says how long a callout took, iff the rule of the time budget is not off. Where callouts are called for one packet after
// the other, a call is counted from the return of the one before: some 0.1 µs of the processor's own work are in it.
type CalloutStats struct {
	Name     string
	Calls    uint64
	Overruns uint64              // calls that took longer than the budget
	Took     [TookBuckets]uint64 // calls by duration: bucket i took less than 256 ns << i, the last any longer
}

// Quantile returns a bound that the share q of the calls, 0 to 1, stayed below; 0 without calls.
func (s *CalloutStats) Quantile(q float64) time.Duration {
	if s.Calls == 0 {
		return 0
	}
	left := uint64(q * float64(s.Calls))
	for i, n := range s.Took {
		if left <= n {
			return 1 << (tookFirst + i)
		}
		left -= n
	}
	return 1 << (tookFirst + TookBuckets - 1)
}

// calloutTimes is what one worker counts of a callout. It alone adds; anybody may read.
type calloutTimes struct {
	overruns atomic.Uint64
	took     [TookBuckets]atomic.Uint64
}

func (t *calloutTimes) add(d time.Duration) {
	t.took[min(bits.Len64(uint64(max(d, 0))>>tookFirst), TookBuckets-1)].Add(1)
}

func (t *calloutTimes) addTo(s *CalloutStats) {
	s.Overruns += t.overruns.Load()
	for i := range t.took {
		n := t.took[i].Load()
		s.Took[i] += n
		s.Calls += n
	}
}

// calledAt is when a callout is called: when the one before returned, if that was for this packet or the one before and nobody else's
// code ran since. Reading the clock costs as much as a quarter of judging a packet, and what is between the two is less than the
// shortest time that is told apart, but for misses of the caches.
func (k *classifier) calledAt() int64 {
	i := k.c.index
	if i == inNoBatch || i-k.returnedAt > 1 || k.trace != nil || k.w.observer != nil {
		return k.w.p.now()
	}
	return k.returned
}

// longAgo is returnedAt when others' code has run since.
const longAgo = -3

// timed runs the callout as call does, and takes its time. The clock is read only while somebody wants to know.
func (k *classifier) timed(f *boundFilter, c Callout, v *Verdict) (ok bool) {
	p := k.w.p
	if p.rules.TimeBudget == inject.Off {
		return k.call(c, v)
	}
	start := k.calledAt()
	ok = k.call(c, v)
	k.returned, k.returnedAt = p.now(), k.c.index
	took := time.Duration(k.returned - start)
	t := k.times[f.index]
	t.add(took)
	if took > p.budget {
		t.overruns.Add(1)
		if p.violations.tell == nil {
			p.violations.count[RuleTimeBudget].Add(1) // no text for nobody: on a busy machine this is not rare
			return ok
		}
		k.returnedAt = longAgo
		p.violated(Violation{
			Rule: RuleTimeBudget, Layer: k.c.Layer, Callout: c.Name(), Filter: f.Name,
			Detail: fmt.Sprintf("took %v at %v, budget %v", took.Round(10*time.Microsecond), k.c.Layer, p.budget),
			Remedy: "move the work to a deferred queue",
		})
	}
	return ok
}
