package control

import (
	"math"
	"time"
)

// Stats are the books: counts since the daemon started, but for what is said to be of now.
type Stats struct {
	At       time.Time `json:"at"`
	UptimeNS int64     `json:"uptime_ns"`

	Total    Books             `json:"total"` // of all handles; a packet that passes two of them counts twice
	Handles  []HandleStats     `json:"handles"`
	Filters  []FilterStats     `json:"filters"` // in the policy's order
	Callouts []CalloutStats    `json:"callouts"`
	Flows    FlowTotals        `json:"flows"`
	Pipeline map[string]uint64 `json:"pipeline"` // what else was counted; see docs/metrics.md
	Control  map[string]uint64 `json:"control"`  // of this API: requests, refused, subscribers, …
	Batches  Latency           `json:"batches"`  // from a batch's packets being received to their being completed
}

// Books are counts of packets. At every moment Received = Passed + Dropped + Held + InBatch and Injected = Completed + Failed.
type Books struct {
	Received  uint64 `json:"received"`
	Passed    uint64 `json:"passed"`
	Dropped   uint64 `json:"dropped"`
	Held      uint64 `json:"held"`     // now
	InBatch   uint64 `json:"in_batch"` // now
	Injected  uint64 `json:"injected"`
	Completed uint64 `json:"completed"`
	Failed    uint64 `json:"failed"`
	Lost      uint64 `json:"lost"` // by the driver, before they were received

	BytesReceived uint64 `json:"bytes_received"` // from the IP header

	DroppedBy map[string]uint64 `json:"dropped_by"` // by cause, those that are not 0
	LostBy    map[string]uint64 `json:"lost_by"`    // by cause, those that are not 0
}

// HandleStats is one open handle.
type HandleStats struct {
	ID       int    `json:"id"` // stays the same while the daemon runs
	Layer    string `json:"layer"`
	Filter   string `json:"filter"`
	Priority int    `json:"priority"`
	Flags    string `json:"flags,omitempty"`
	Books
	Queued *uint64 `json:"queued,omitempty"` // packets that wait to be received now, where the driver tells
}

// FilterStats is what one filter did.
type FilterStats struct {
	Name      string `json:"name"`
	Layer     string `json:"layer"`
	Callout   string `json:"callout,omitempty"`
	Matched   uint64 `json:"matched"`
	Permitted uint64 `json:"permitted"`
	Blocked   uint64 `json:"blocked"`
	Vetoes    uint64 `json:"vetoes"`
}

// CalloutStats is what one callout did.
type CalloutStats struct {
	Name     string            `json:"name"`
	Counters map[string]uint64 `json:"counters,omitempty"` // those of its README
	Overruns uint64            `json:"overruns"`           // calls that took longer than the budget
	Took     Latency           `json:"took"`               // empty where the rule of the time budget is off
}

// FlowTotals counts flows.
type FlowTotals struct {
	Now     uint64 `json:"now"`
	Opened  uint64 `json:"opened"`
	Evicted uint64 `json:"evicted"` // forgotten for new ones
	Idle    uint64 `json:"idle"`    // over since they were silent
}

// LatencyFirst is the bound of the first bucket of a Latency, in nanoseconds; each next bound is twice the one before.
const LatencyFirst = 256

// Latency is a histogram of durations. Bucket i counts what took less than LatencyFirst << i nanoseconds and no less than the
// bound before; the last counts the rest.
type Latency struct {
	Count   uint64   `json:"count"`
	SumNS   uint64   `json:"sum_ns,omitempty"` // where it is known
	Buckets []uint64 `json:"buckets,omitempty"`
}

// Quantile returns a bound that the share q, 0 to 1, stayed below; 0 where nothing was measured, the greatest duration where it is
// in the last bucket.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.Count == 0 {
		return 0
	}
	left := uint64(math.Ceil(q * float64(l.Count)))
	for i, n := range l.Buckets {
		if left <= n {
			if i == len(l.Buckets)-1 {
				break
			}
			return LatencyFirst << i
		}
		left -= n
	}
	return math.MaxInt64
}

// Estimate is the sum of all durations, as far as the buckets tell: each is taken for the middle of its bucket.
func (l *Latency) Estimate() (sum time.Duration) {
	for i, n := range l.Buckets {
		middle := time.Duration(LatencyFirst<<i) * 3 / 4
		if i == 0 {
			middle = LatencyFirst / 2
		}
		sum += time.Duration(n) * middle
	}
	return sum
}

// Since returns what was counted after an earlier reading.
func (l *Latency) Since(before *Latency) Latency {
	d := Latency{Count: l.Count - before.Count, SumNS: l.SumNS - before.SumNS, Buckets: make([]uint64, len(l.Buckets))}
	for i := range l.Buckets {
		d.Buckets[i] = l.Buckets[i]
		if i < len(before.Buckets) {
			d.Buckets[i] -= before.Buckets[i]
		}
	}
	return d
}
