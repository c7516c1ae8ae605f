package craft_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/inject/craft"
)

// bucket is the textbook's: tokens that drip in, counted in integers.
type bucket struct{ rate, burst, tokens, last int64 } // tokens in units of 1e9

func (b *bucket) allow(now int64) bool {
	b.tokens = min(b.tokens+(now-b.last)*b.rate, b.burst*1e9)
	b.last = now
	if b.tokens < 1e9 {
		return false
	}
	b.tokens -= 1e9
	return true
}

func TestLimiterIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int64{1, 10, 1000, 1_000_000}).Draw(t, "rate") // 1e9 is a multiple of each, so that both round alike
		burst := rapid.Int64Range(1, 20).Draw(t, "burst")
		l := craft.NewLimiter(int(rate), int(burst))
		ref := bucket{rate: rate, burst: burst, tokens: burst * 1e9}
		now, refused := int64(0), uint64(0)
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now += rapid.Int64Range(0, 2e9/rate).Draw(t, "pause")
			want := ref.allow(now)
			if !want {
				refused++
			}
			if got := l.Allow(now); got != want {
				t.Fatalf("at %d: %v, want %v", now, got, want)
			}
		}
		if l.Refused() != refused {
			t.Fatalf("refused %d, want %d", l.Refused(), refused)
		}
	})
}

func TestLimiterUnderContention(t *testing.T) {
	l := craft.NewLimiter(0, 0)
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				if l.Allow(1) {
					allowed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if allowed.Load() != craft.BurstDefault {
		t.Errorf("%d allowed at one moment, want %d", allowed.Load(), craft.BurstDefault)
	}
}
