package daemon

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/processor"
)

// Result is what became of every packet; `weir run --json` prints it. Packets are counted at every handle that received them:
// one that passes two handles counts twice.
type Result struct {
	Received  uint64 `json:"received"`
	Passed    uint64 `json:"passed"`
	Dropped   uint64 `json:"dropped"`
	Held      uint64 `json:"held"`
	InBatch   uint64 `json:"in_batch"`
	Injected  uint64 `json:"injected"`
	Completed uint64 `json:"completed"`
	Failed    uint64 `json:"failed"`
	Lost      uint64 `json:"lost"` // by the driver, before they were received

	CutThrough uint64 `json:"cut_through,omitempty"` // packets of judged flows, which stayed in the kernel
	Unmatched  uint64 `json:"unmatched,omitempty"`   // packets that matched what the kernel asks, but not the rest of the filter

	LeftToUser []string `json:"left_to_user,omitempty"` // the tests of handles' filters that are that rest, and why

	BytesReceived uint64 `json:"bytes_received"` // from the IP header

	DroppedBy map[string]uint64 `json:"dropped_by"`        // by cause, those that are not 0
	LostBy    map[string]uint64 `json:"lost_by,omitempty"` // by cause, those that are not 0

	ByFilter []FilterResult  `json:"by_filter"` // in the policy's order
	Callouts []CalloutResult `json:"callouts,omitempty"`

	Pipeline map[string]uint64 `json:"pipeline,omitempty"` // what else the processor counted, if it is not 0
	Capture  *CaptureResult    `json:"capture,omitempty"`  // with driver pcap

	// With Plan.Verify: breaches of the considerations, in the order of the rules. Beyond 100 of them the rest is counted.
	Violations     []ViolationResult `json:"violations,omitzero"`
	ViolationsMore uint64            `json:"violations_more,omitempty"`

	DurationNS int64 `json:"duration_ns"`
}

// FilterResult is what one filter did.
type FilterResult struct {
	Name      string `json:"name"`
	Layer     string `json:"layer"`
	Callout   string `json:"callout,omitempty"`
	Matched   uint64 `json:"matched"`
	Permitted uint64 `json:"permitted"`
	Blocked   uint64 `json:"blocked"`
	Vetoes    uint64 `json:"vetoes,omitempty"`
}

// CalloutResult is what one callout counted by itself.
type CalloutResult struct {
	Name     string            `json:"name"`
	Counters map[string]uint64 `json:"counters"` // those of its README
}

// CaptureResult is what a capture file had.
type CaptureResult struct {
	Frames    uint64 `json:"frames"`
	Packets   uint64 `json:"packets"`   // of the frames, those that are IP packets
	Truncated uint64 `json:"truncated"` // of the packets, those that the capture has not whole

	Written *uint64 `json:"written,omitempty"` // packets that passed or were injected, where they are written

	NotIP []NotIPResult `json:"not_ip,omitempty"` // the other frames, which passed as they are
}

// NotIPResult counts frames that are no IP packets, of one kind.
type NotIPResult struct {
	What   string `json:"what"` // such as: frames of link type 105 (IEEE802_11), which is not supported
	Frames uint64 `json:"frames"`
}

// Conserved returns an error that shows the sums if packets are unaccounted for.
func (r *Result) Conserved() error {
	if r.Received != r.Passed+r.Dropped+r.Held+r.InBatch || r.Injected != r.Completed+r.Failed {
		return fmt.Errorf("packets are unaccounted for, which is a fault of weir: %s", r.Law())
	}
	return nil
}

// Law is the line that says where all packets are.
func (r *Result) Law() string {
	return fmt.Sprintf("received %d = passed %d + dropped %d + held %d + in batch %d; injected %d = completed %d + failed %d",
		r.Received, r.Passed, r.Dropped, r.Held, r.InBatch, r.Injected, r.Completed, r.Failed)
}

// result adds up what handles, processor, callouts and driver counted.
func (s *Session) result(took time.Duration) *Result {
	var all divertdrv.Stats
	for _, h := range s.handles {
		all.Add(h.Stats())
	}
	stats := s.proc.Stats()
	r := &Result{
		Received: all.Received, Passed: all.Passed, Dropped: all.DroppedTotal(), Held: all.Held, InBatch: all.InBatch,
		Injected: all.Injected, Completed: all.Completed, Failed: all.Failed, Lost: all.Lost,
		CutThrough: all.CutThrough, Unmatched: all.Unmatched, LeftToUser: s.leftToUser(),
		BytesReceived: s.meter.bytes.Load(),
		DroppedBy:     byCause(&all.Dropped), LostBy: byCause(&all.LostBy),
		ByFilter: byFilter(stats.Filters), Callouts: s.callouts(),
		Pipeline: s.pipeline(&stats), Capture: s.capture(),
		DurationNS: took.Nanoseconds(),
	}
	if s.verify != nil {
		r.Violations, r.ViolationsMore = s.verify.result()
	}
	return r
}

func byCause(counts *[reason.Max]uint64) map[string]uint64 {
	by := map[string]uint64{}
	for i, n := range counts {
		if n > 0 {
			by[divertdrv.Cause(i).String()] = n
		}
	}
	return by
}

// leftToUser tells of each test that some kernel leaves to user space.
func (s *Session) leftToUser() (tests []string) {
	for i, h := range s.handles {
		for _, part := range h.Kernel() {
			for _, l := range part.Left {
				tests = append(tests, fmt.Sprintf("handle %d at %s: test %d, %s: %s", i+1, part.Hook, l.Test, l.Text, l.Why))
			}
		}
	}
	return tests
}

func byFilter(stats []processor.FilterStats) []FilterResult {
	all := make([]FilterResult, len(stats))
	for i, f := range stats {
		all[i] = FilterResult{
			Name: f.Name, Layer: f.Layer.String(), Callout: f.Callout,
			Matched: f.Matched, Permitted: f.Permitted, Blocked: f.Blocked, Vetoes: f.Vetoes,
		}
	}
	return all
}

// counting is implemented by callouts that tell what they counted, as iter.Seq2.
type counting interface {
	Counters(yield func(name string, n uint64) bool)
}

// callouts asks the policy's callouts what they counted, in the order of first use.
func (s *Session) callouts() (all []CalloutResult) {
	if s.plan.Policy == nil {
		return nil
	}
	for _, c := range s.plan.Policy.Callouts() {
		if by, ok := c.(counting); ok {
			all = append(all, CalloutResult{Name: c.Name(), Counters: maps.Collect(by.Counters)})
		}
	}
	return all
}

// pipeline names what the processor and its injectors counted beside verdicts.
func (s *Session) pipeline(stats *processor.Stats) map[string]uint64 {
	all := map[string]uint64{
		"undecoded": stats.Undecoded, "deferred": stats.Deferred, "defer_refused": stats.DeferRefused, "held": stats.Held,
		"parked": stats.Parked, "park_refused": stats.ParkRefused, "panics": stats.Panics, "breaches": stats.Breaches,
		"flows": stats.FlowsOpened, "flows_idle": stats.FlowsIdle, "flows_evicted": stats.FlowsEvicted,
		"pended": stats.Pended, "refused": stats.Refused, "aborted": stats.Aborted,
		"judged": stats.Judged, "judge_refused": stats.JudgeRefused,
	}
	for _, n := range stats.Violations {
		all["violations"] += n
	}
	for _, j := range s.proc.Injectors() {
		st := j.Stats()
		all["inline_tcp_refused"] += st.Refused
		all["realigned"] += st.Realigned
	}
	for name, n := range all {
		if n == 0 {
			delete(all, name)
		}
	}
	return all
}

// capture tells what the capture file had; nil: none was read.
func (s *Session) capture() *CaptureResult {
	st := s.driver.capture()
	if st == nil {
		return nil
	}
	c := &CaptureResult{Frames: st.Frames, Packets: st.Packets, Truncated: st.Truncated}
	if s.plan.Driver.Out != "" {
		c.Written = &st.PacketsWritten
	}
	for _, b := range st.Bystanders {
		what := strings.TrimPrefix(b.String(), fmt.Sprintf("%d ", b.Frames))
		c.NotIP = append(c.NotIP, NotIPResult{What: what, Frames: b.Frames})
	}
	return c
}
