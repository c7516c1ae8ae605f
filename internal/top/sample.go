package top

import (
	"context"
	"time"

	"github.com/weirnet/weir/internal/control"
)

// sample is one round of answers.
type sample struct {
	status  control.Status
	stats   control.Stats
	flows   control.Flows
	filters control.Filters
	err     error
}

// flowsAsked bounds the flows that are looked at: of those that spoke last, the busiest are found.
const flowsAsked = 1000

// ask asks everything once.
func ask(ctx context.Context, from Source, q control.FlowQuery) (s sample) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if s.status, s.err = from.Status(ctx); s.err != nil {
		return s
	}
	if s.stats, s.err = from.Stats(ctx); s.err != nil {
		return s
	}
	if s.filters, s.err = from.Filters(ctx); s.err != nil {
		return s
	}
	s.flows, s.err = from.Flows(ctx, q)
	return s
}

// historyMax bounds the points of a series.
const historyMax = 600

// series are the last values of something, the newest last.
type series struct{ points []float64 }

func (s *series) add(v float64) {
	if len(s.points) == historyMax {
		copy(s.points, s.points[1:])
		s.points = s.points[:historyMax-1]
	}
	s.points = append(s.points, v)
}

func (s *series) now() float64 {
	if len(s.points) == 0 {
		return 0
	}
	return s.points[len(s.points)-1]
}

// rate is how much a count grew in a second. A count that fell began anew.
func rate(before, now uint64, took time.Duration) float64 {
	if now < before || took <= 0 {
		return 0
	}
	return float64(now-before) / took.Seconds()
}

// flowKey tells flows apart.
func flowKey(f *control.Flow) string { return f.Protocol + " " + f.Source + " > " + f.Destination }

// row is a flow or a filter with its rates.
type flowRow struct {
	control.Flow
	packetRate, byteRate float64 // a second
}

type filterRow struct {
	control.Filter
	matchRate, blockRate float64
}

// causeRow is a cause for which packets are dropped or lost.
type causeRow struct {
	name  string
	lost  bool
	rate  float64
	total uint64
}
