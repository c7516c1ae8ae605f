package limit

import (
	"math/bits"
	"math/rand/v2"
	"sync"

	"github.com/weirnet/weir/divertdrv/wire"
)

// ways is how many buckets a set has.
const ways = 8

// table is a bounded number of buckets, each for a key. A key lives in the set that its hash says, so workers seldom wait for each
// other. A bucket that is full again is as good as none, and goes to the next key that needs one. When none of a set is, new keys
// share one bucket: whoever makes up keys gains nothing.
type table struct {
	rate rate
	seed uint64
	sets []set

	mu     sync.Mutex // guards shared
	shared bucket
}

type set struct {
	mu   sync.Mutex // guards all below
	used int        // of ways, from the first on
	keys [ways]wire.FlowKey
	of   [ways]bucket
}

func newTable(r rate, buckets int) *table {
	t := &table{rate: r, seed: rand.Uint64(), shared: r.full(0)}
	t.sets = make([]set, 1<<bits.Len(uint((buckets-1)/ways)))
	return t
}

// take takes n tokens of the key's bucket; alone says that it has one.
func (t *table) take(k *wire.FlowKey, n uint64, now int64) (ok, alone bool) {
	s := &t.sets[k.Hash(t.seed)%uint64(len(t.sets))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.find(k, t.rate, now); b != nil {
		return b.take(t.rate, n, now), true
	}
	return t.takeShared(n, now), false
}

// takeShared takes n tokens of the bucket of all that have none.
func (t *table) takeShared(n uint64, now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shared.take(t.rate, n, now)
}

// find returns the key's bucket; nil: there is none, and no room for one.
func (s *set) find(k *wire.FlowKey, r rate, now int64) *bucket {
	for i := range s.used {
		if s.keys[i] == *k {
			return &s.of[i]
		}
	}
	i := s.used
	if i < ways {
		s.used++
	} else if i = s.idle(r, now); i < 0 {
		return nil
	}
	s.keys[i], s.of[i] = *k, r.full(now)
	return &s.of[i]
}

// idle returns a bucket that is full; -1: none is.
func (s *set) idle(r rate, now int64) int {
	for i := range s.of {
		if s.of[i].isFull(r, now) {
			return i
		}
	}
	return -1
}
