package daemon

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/internal/control"
)

// durationBuckets is the number of buckets of a stopwatch, as many as the processor has for callouts: the last begins at 2 s.
const durationBuckets = 24

// stopwatch is a histogram of durations by powers of two. One goroutine starts and stops; anybody may read.
type stopwatch struct {
	from    time.Time
	sum     atomic.Uint64 // nanoseconds
	buckets [durationBuckets]atomic.Uint64
}

func (s *stopwatch) start() { s.from = time.Now() }

func (s *stopwatch) stop() {
	d := uint64(max(time.Since(s.from), 0))
	b := &s.buckets[min(bits.Len64(d/control.LatencyFirst), durationBuckets-1)]
	b.Store(b.Load() + 1)
	s.sum.Store(s.sum.Load() + d)
}

func (s *stopwatch) addTo(l *control.Latency) {
	if l.Buckets == nil {
		l.Buckets = make([]uint64, durationBuckets)
	}
	for i := range s.buckets {
		n := s.buckets[i].Load()
		l.Buckets[i] += n
		l.Count += n
	}
	l.SumNS += s.sum.Load()
}
