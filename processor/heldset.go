package processor

import (
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// heldSet knows the packets that callouts hold, so that ending the processor can give them their default. Its size is bounded by
// what the handles allow to be held.
type heldSet struct {
	mu  sync.Mutex // guards all below
	set map[*divertdrv.Held]divertdrv.Mark
}

func (s *heldSet) add(hd *divertdrv.Held, byDefault divertdrv.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[*divertdrv.Held]divertdrv.Mark)
	}
	s.set[hd] = byDefault
}

func (s *heldSet) remove(hd *divertdrv.Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, hd)
}

// releaseAll gives every packet its default.
func (s *heldSet) releaseAll() {
	s.mu.Lock()
	all := make(map[*divertdrv.Held]divertdrv.Mark, len(s.set))
	for hd, m := range s.set {
		all[hd] = m
	}
	s.mu.Unlock()
	for hd, m := range all {
		_ = hd.Release(m, reason.Abandoned) // it may just have been released by its callout or its deadline
	}
}
