package limit

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// textbook is a token bucket in exact fractions: what is there is what was there and came in since, but not more than fits.
type textbook struct {
	rate, burst, tokens *big.Rat
	at                  int64
}

func newTextbook(r rate, now int64) *textbook {
	burst := new(big.Rat).SetInt(new(big.Int).SetUint64(r.burst))
	return &textbook{
		rate:  new(big.Rat).SetFrac(new(big.Int).SetUint64(r.perSecond), big.NewInt(1_000_000_000)),
		burst: burst, tokens: new(big.Rat).Set(burst), at: now,
	}
}

func (x *textbook) take(n uint64, now int64) bool {
	if now > x.at {
		in := new(big.Rat).Mul(x.rate, new(big.Rat).SetInt64(now-x.at))
		x.tokens.Add(x.tokens, in)
		x.at = now
	}
	if x.tokens.Cmp(x.burst) > 0 {
		x.tokens.Set(x.burst)
	}
	cost := new(big.Rat).SetInt(new(big.Int).SetUint64(n))
	if x.tokens.Cmp(cost) < 0 {
		return false
	}
	x.tokens.Sub(x.tokens, cost)
	return true
}

// Rates and steps are drawn by their number of bits, so that small and enormous ones meet.
func drawBits(t *rapid.T, most int, name string) uint64 {
	b := rapid.IntRange(0, most).Draw(t, name+" bits")
	return rapid.Uint64Range(0, 1<<b).Draw(t, name)
}

func TestBucketIsTheTextbooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rate{
			perSecond: min(max(drawBits(t, 34, "rate"), 1), rateMax),
			burst:     min(max(drawBits(t, 34, "burst"), 1), rateMax),
		}
		now := int64(drawBits(t, 61, "start"))
		b, want := r.full(now), newTextbook(r, now)
		for range rapid.IntRange(1, 60).Draw(t, "packets") {
			now += int64(drawBits(t, 45, "step")) - int64(drawBits(t, 20, "step back"))
			n := drawBits(t, 34, "size")
			if got, should := b.take(r, n, now), want.take(n, now); got != should {
				t.Fatalf("%d tokens at %d of %+v: %v, the textbook says %v", n, now, r, got, should)
			}
			if b.tokens > r.burst || b.part >= 1_000_000_000 {
				t.Fatalf("bucket %+v of %+v", b, r)
			}
		}
	})
}

// In no stretch of time more goes on than the burst and what comes in.
func TestBucketNeverGivesMore(t *testing.T) {
	r := rate{perSecond: 1000, burst: 50}
	b := r.full(0)
	const stretch = 10_000_000_000
	passed := uint64(0)
	for now := int64(0); now < stretch; now += 333_333 {
		if b.take(r, 1, now) {
			passed++
		}
	}
	if want := uint64(10*1000 + 50); passed > want || passed < want-1 {
		t.Errorf("%d packets in 10 s, want %d", passed, want)
	}
}
