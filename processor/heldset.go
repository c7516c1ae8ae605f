package processor

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/weirnet/weir/divertdrv/reason"
)

// heldSet knows the packets that callouts hold, so that ending the processor can give them their default. Its size is bounded by
// what the handles allow to be held.
type heldSet struct {
	mu    sync.Mutex       // guards all below
	set   map[*Held]uint64 // the place at which each was held
	count uint64           // ever added
}

func (s *heldSet) add(h *Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[*Held]uint64)
	}
	s.count++
	s.set[h] = s.count
}

func (s *heldSet) remove(h *Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, h)
}

// releaseAll gives every packet its default, in the order in which they were held, and calls then after each.
func (s *heldSet) releaseAll(then func()) {
	s.mu.Lock()
	all := maps.Clone(s.set)
	s.mu.Unlock()
	for _, h := range slices.SortedFunc(maps.Keys(all), func(a, b *Held) int { return cmp.Compare(all[a], all[b]) }) {
		_ = h.Release(h.byDefault, reason.Abandoned) // it may just have been released by its callout or its deadline
		then()
	}
}
