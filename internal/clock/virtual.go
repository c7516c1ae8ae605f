package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Virtual is a clock that stands still until Advance. Calls that fall due together run in the order they were asked for.
type Virtual struct {
	mu      sync.Mutex // guards all below
	now     time.Time
	seq     uint64
	pending timers
}

// NewVirtual returns a clock that stands at start.
func NewVirtual(start time.Time) *Virtual { return &Virtual{now: start} }

// Now returns where the clock stands.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// AfterFunc asks for a call when the clock has advanced by d.
func (v *Virtual) AfterFunc(d time.Duration, f func()) Timer {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seq++
	t := &virtualTimer{clock: v, at: v.now.Add(max(d, 0)), seq: v.seq, call: f}
	heap.Push(&v.pending, t)
	return t
}

// Advance moves the clock by d and runs, in the caller's goroutine, each call that falls due, at its own time. Calls may ask
// for further ones; those due within d run too.
func (v *Virtual) Advance(d time.Duration) {
	v.mu.Lock()
	end := v.now.Add(d)
	for len(v.pending) > 0 && !v.pending[0].at.After(end) {
		t := heap.Pop(&v.pending).(*virtualTimer)
		v.now = t.at
		v.mu.Unlock()
		t.call()
		v.mu.Lock()
	}
	v.now = end
	v.mu.Unlock()
}

// Next is when the next call falls due; false: none waits.
func (v *Virtual) Next() (at time.Time, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pending) == 0 {
		return time.Time{}, false
	}
	return v.pending[0].at, true
}

// Pending is the number of calls that wait.
func (v *Virtual) Pending() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.pending)
}

type virtualTimer struct {
	clock *Virtual
	at    time.Time
	seq   uint64
	call  func()
	index int // in the heap; -1 once it left
}

func (t *virtualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.pending, t.index)
	return true
}

type timers []*virtualTimer

func (s timers) Len() int { return len(s) }

func (s timers) Less(i, j int) bool {
	if s[i].at.Equal(s[j].at) {
		return s[i].seq < s[j].seq
	}
	return s[i].at.Before(s[j].at)
}

func (s timers) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

func (s *timers) Push(x any) {
	t := x.(*virtualTimer)
	t.index = len(*s)
	*s = append(*s, t)
}

func (s *timers) Pop() any {
	last := len(*s) - 1
	t := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	t.index = -1
	return t
}
