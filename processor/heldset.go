package processor

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// heldSet knows the packets that callouts hold, so that ending the processor can give them their default. Its size is bounded by
// what the handles allow to be held.
type heldSet struct {
	mu    sync.Mutex // guards all below
	set   map[*divertdrv.Held]heldDefault
	count uint64 // ever added
}

// heldDefault is what becomes of a held packet at the end, and the place at which it was held.
type heldDefault struct {
	mark  divertdrv.Mark
	place uint64
}

func (s *heldSet) add(hd *divertdrv.Held, byDefault divertdrv.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[*divertdrv.Held]heldDefault)
	}
	s.count++
	s.set[hd] = heldDefault{byDefault, s.count}
}

func (s *heldSet) remove(hd *divertdrv.Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, hd)
}

// releaseAll gives every packet its default, in the order in which they were held, and calls then after each.
func (s *heldSet) releaseAll(then func()) {
	s.mu.Lock()
	all := maps.Clone(s.set)
	s.mu.Unlock()
	for _, hd := range slices.SortedFunc(maps.Keys(all), func(a, b *divertdrv.Held) int { return cmp.Compare(all[a].place, all[b].place) }) {
		_ = hd.Release(all[hd].mark, reason.Abandoned) // it may just have been released by its callout or its deadline
		then()
	}
}
