package bench

import (
	"encoding/json"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a Latency can tell: up to a minute, with two digits, in 20 to 30 KB.
const (
	latencyMax    = int64(time.Minute)
	latencyDigits = 2
)

// Latency is a histogram of times, in nanoseconds. It is one goroutine's.
//
// Coordinated omission is what makes a stall look like one slow operation: those that should have begun meanwhile were not counted.
// There are two ways not to fall for it. What has a schedule (a packet is due each 20 µs) records the time since the operation was
// due, by Record; see Pace. What cannot have one records by RecordEvery, which adds what should have been measured in a stall.
type Latency struct{ h *hdrhistogram.Histogram }

// NewLatency returns an empty histogram.
func NewLatency() *Latency { return &Latency{hdrhistogram.New(1, latencyMax, latencyDigits)} }

// Record adds one time; beyond a minute it counts as a minute.
func (l *Latency) Record(d time.Duration) { _ = l.h.RecordValue(within(d)) }

// RecordEvery adds the time of one of the operations that were to follow each other at the interval.
func (l *Latency) RecordEvery(d, interval time.Duration) {
	_ = l.h.RecordCorrectedValue(within(d), int64(interval))
}

// within: the histogram has no error left for what is in its bounds.
func within(d time.Duration) int64 { return min(max(int64(d), 1), latencyMax) }

// Count is how many times there are.
func (l *Latency) Count() int64 { return l.h.TotalCount() }

// Percentile returns the time that q percent do not exceed.
func (l *Latency) Percentile(q float64) time.Duration { return time.Duration(l.h.ValueAtPercentile(q)) }

// Merge adds what the other one has.
func (l *Latency) Merge(o *Latency) { l.h.Merge(o.h) }

// Reset empties it.
func (l *Latency) Reset() { l.h.Reset() }

// MarshalJSON writes the histogram in its own compressed form (HdrHistogram V2, base64).
func (l *Latency) MarshalJSON() ([]byte, error) {
	b, err := l.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(b))
}

// UnmarshalJSON reads it.
func (l *Latency) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	h, err := hdrhistogram.Decode([]byte(text))
	if err == nil {
		l.h = h
	}
	return err
}

// Pace is a schedule: operation i is due at start + i × interval, whatever became of those before it.
type Pace struct {
	start    time.Time
	interval time.Duration
	next     int64
}

// NewPace begins a schedule now.
func NewPace(interval time.Duration) *Pace { return &Pace{start: time.Now(), interval: interval} }

// Due returns when the next operation is due, and whether that is now or was before.
func (p *Pace) Due() (at time.Time, now bool) {
	at = p.start.Add(time.Duration(p.next) * p.interval)
	if time.Now().Before(at) {
		return at, false
	}
	p.next++
	return at, true
}
