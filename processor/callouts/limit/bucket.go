package limit

import "time"

// rate is the measure of a token bucket: what comes in, and how much it holds.
type rate struct {
	perSecond uint64 // tokens, 1 to rateMax
	burst     uint64 // tokens, 1 to rateMax
}

// rateMax keeps the products below within 64 bits: 1e9 · 1e10 < 2⁶⁴. As bytes it is 80 Gbit/s.
const rateMax = 10_000_000_000

// bucket is what a token bucket holds. It is exact: what came in for less than one token is kept in 1e9ths.
type bucket struct {
	tokens, part uint64
	at           int64 // nanoseconds: the time that both are of
}

// full returns a bucket that holds all that it can, as every bucket does at first.
func (r rate) full(now int64) bucket { return bucket{tokens: r.burst, at: now} }

// fill adds what came in since. A time that goes back adds nothing.
func (b *bucket) fill(r rate, now int64) {
	passed := now - b.at
	if passed <= 0 {
		return
	}
	b.at = now
	missing := r.burst - b.tokens
	seconds, rest := uint64(passed)/uint64(time.Second), uint64(passed)%uint64(time.Second)
	if seconds > missing/r.perSecond { // before it is multiplied
		*b = r.full(now)
		return
	}
	parts := b.part + rest*r.perSecond
	more := seconds*r.perSecond + parts/uint64(time.Second)
	if more >= missing {
		*b = r.full(now)
		return
	}
	b.tokens, b.part = b.tokens+more, parts%uint64(time.Second)
}

// take takes n tokens; false: there are not as many, and none were taken.
func (b *bucket) take(r rate, n uint64, now int64) bool {
	b.fill(r, now)
	if n > b.tokens {
		return false
	}
	b.tokens -= n
	return true
}

// isFull says that the bucket is as one that was never used.
func (b *bucket) isFull(r rate, now int64) bool {
	b.fill(r, now)
	return b.tokens == r.burst
}
