package craft

import (
	"sync/atomic"
	"time"
)

// Limiter bounds how many errors are sent, as RFC 1812 4.3.2.8 and RFC 4443 2.4 f ask, so that nobody can have Weir flood a third
// party. It is a token bucket, kept as the time at which it would be full again. Any number of goroutines may use it.
type Limiter struct {
	interval, room int64        // nanoseconds: of one token, of all but one
	full           atomic.Int64 // when the bucket is full again, in the caller's clock

	refused atomic.Uint64
}

// The values of Linux's global limit (icmp_msgs_per_sec, icmp_msgs_burst).
const (
	RateDefault  = 1000 // errors per second
	BurstDefault = 50
)

// NewLimiter allows rate errors a second, 1 to 1e9, and burst at once, at least 1. 0: the default.
func NewLimiter(rate, burst int) *Limiter {
	if rate <= 0 {
		rate = RateDefault
	}
	if burst <= 0 {
		burst = BurstDefault
	}
	interval := max(int64(time.Second)/int64(rate), 1)
	l := &Limiter{interval: interval, room: interval * int64(burst-1)}
	l.full.Store(-1 << 62)
	return l
}

// Allow takes a token at that time, in nanoseconds of any clock that does not go back; false: there is none, which is counted.
func (l *Limiter) Allow(now int64) bool {
	for {
		full := l.full.Load()
		if full-now > l.room {
			l.refused.Add(1)
			return false
		}
		if l.full.CompareAndSwap(full, max(full, now)+l.interval) {
			return true
		}
	}
}

// Refused is how often Allow said no.
func (l *Limiter) Refused() uint64 { return l.refused.Load() }
