package stack

import (
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
)

// Enter lets a packet of the host or of the wire walk at its Address's layer, above every handle. What is not an IP packet
// walks too, undecoded. The arguments are copied where they must outlive the call. While an operation is on that has called the
// Sink, and from within the Sink, the packet waits and walks right after (up to 4096 packets, 4 MiB); Enter then returns nil
// whatever becomes of it.
//
// The error is an OpError over ErrClosed (after Close), ErrShutdown (after End), ErrUnsupported (a layer without packets),
// ErrNoRoom (too many wait), or what the Sink said.
func (s *Stack) Enter(a *divertdrv.Address, data []byte) error {
	if int(a.Layer()) >= walked {
		return s.enterError(a, divertdrv.ErrUnsupported)
	}
	if later, err := s.entrance.wait(a, data); later {
		return s.enterError(a, err)
	}
	s.lock()
	defer s.unlock()
	s.address = *a // the walk's own, so that the caller's does not escape to the heap
	return s.enterError(a, s.admitOne(&s.address, data))
}

func (s *Stack) enterError(a *divertdrv.Address, err error) error {
	if err == nil {
		return nil
	}
	return &divertdrv.OpError{Op: "enter", Driver: s.name, Layer: a.Layer(), Err: err}
}

func (s *Stack) admitOne(a *divertdrv.Address, data []byte) error {
	switch {
	case s.closed:
		return s.turn(divertdrv.ErrClosed)
	case s.ended:
		return s.turn(divertdrv.ErrShutdown)
	}
	return s.enter(a, data, 0)
}

func (s *Stack) enter(a *divertdrv.Address, data []byte, t token) error {
	s.stats.Entered++
	if s.entering != nil {
		s.kept = t.kept()
		s.entering(a, data)
	}
	return s.walk(a.Layer(), aboveAll, a, data, t)
}

func (s *Stack) turn(why error) error {
	s.entrance.turned.Add(1)
	return why
}

// entrance is where packets wait that enter while the Sink runs: the Sink may be who sends them, and it holds the lock. So
// a host may answer from within the Sink, and two Stacks may be each other's wire.
//
// None is left behind: what is added was added under mu while sinking was true, and only who finds nothing there, under mu,
// clears it.
type entrance struct {
	sinking atomic.Bool   // whoever holds the Stack's lock called the Sink, and will admit what waits
	turned  atomic.Uint64 // refused for any cause

	mu   sync.Mutex // guards wait
	late *queue     // added under mu
	work *queue     // walked under the Stack's lock
}

func newEntrance() entrance {
	late, work := newQueue(divertdrv.OverloadClosed), newQueue(divertdrv.OverloadClosed)
	return entrance{late: &late, work: &work}
}

// wait adds a packet if somebody will admit it.
func (e *entrance) wait(a *divertdrv.Address, data []byte) (later bool, err error) {
	if !e.sinking.Load() {
		return false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.sinking.Load() {
		return false, nil
	}
	const never = 0 // nothing expires here
	if e.late.admit(a, data, never, 0) != queued {
		e.turned.Add(1)
		return true, divertdrv.ErrNoRoom
	}
	return true, nil
}

// swap takes what waits; false: nothing does, and from now on nothing will.
func (e *entrance) swap() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late, e.work = e.work, e.late
	if e.work.n == 0 {
		e.sinking.Store(false)
		return false
	}
	return true
}

// admit lets those that wait walk, until the Sink sends no more.
func (s *Stack) admit() {
	if !s.sank {
		return
	}
	for s.entrance.swap() {
		for q := s.entrance.work; q.n > 0; q.remove() {
			e, data := q.oldest()
			_ = s.admitOne(&e.addr, data) // counted: nobody is there to be told
		}
	}
	s.sank = false
}
