package limit

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func keyNumber(n uint64) *wire.FlowKey {
	var k wire.FlowKey
	k.Set(wire.Endpoint{Lo: n}, wire.Endpoint{}, 0, 6)
	return &k
}

// A key that has a bucket of its own gets what the textbook gives it; it never gets more than that, whatever room there is.
func TestTableIsABucketForEachKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rate{perSecond: rapid.Uint64Range(1, 50).Draw(t, "rate"), burst: rapid.Uint64Range(1, 5).Draw(t, "burst")}
		buckets := rapid.SampledFrom([]int{8, 9, 64}).Draw(t, "buckets")
		x := newTable(r, buckets)
		want, now := map[uint64]*textbook{}, int64(1)
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			now += int64(drawBits(t, 32, "step"))
			key := rapid.Uint64Range(1, 30).Draw(t, "key")
			if want[key] == nil {
				want[key] = newTextbook(r, now)
			}
			ok, alone := x.take(keyNumber(key), 1, now)
			switch {
			case alone && ok != want[key].take(1, now):
				t.Fatalf("key %d at %d: %v", key, now, ok)
			case !alone:
				want[key].take(0, now)
			}
		}
	})
}

// Whoever makes up keys gets, beside the buckets that there are, one more.
func TestTableHoldsOut(t *testing.T) {
	r := rate{perSecond: 1, burst: 10}
	x := newTable(r, 64)
	passed, shared := 0, 0
	for n := range uint64(100_000) {
		ok, alone := x.take(keyNumber(n), 1, 5)
		if ok {
			passed++
		}
		if !alone {
			shared++
		}
	}
	if passed != 64+10 || shared != 100_000-64 {
		t.Errorf("%d passed, %d shared a bucket; want 74 and the rest", passed, shared)
	}
	// Ten seconds later all buckets are full again, and go to others.
	if ok, alone := x.take(keyNumber(1<<40), 1, 11_000_000_000); !ok || !alone {
		t.Errorf("later: %v, %v", ok, alone)
	}
}

func TestTableFromManyWorkers(t *testing.T) {
	r := rate{perSecond: 1, burst: 100}
	x := newTable(r, 8)
	var mu sync.Mutex
	var wg sync.WaitGroup
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if ok, _ := x.take(keyNumber(7), 1, 9); ok {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 100 {
		t.Errorf("%d passed, want the burst of 100", passed)
	}
}
