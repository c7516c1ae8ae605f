package stack

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// Do runs f with the Stack's lock held: f may call Emit and nothing else of this Stack and of its handles.
func (s *Stack) Do(f func()) {
	s.lock()
	defer s.unlock()
	s.kept = false
	f()
}

// Opened counts the handles that were ever opened. As Emit it must be called with the lock held.
func (s *Stack) Opened() uint64 { return s.opened }

// Emit leads an event of the FLOW or SOCKET layer past the handles of its layer that were among the first so many opened; a is
// copied. It returns true if a handle blocks what is about to happen: one at SOCKET without Sniff, whose filter matches; handles
// below it are then not asked. It must be called with the lock held: from the Sink, from Config.Entering or inside Do.
func (s *Stack) Emit(a *divertdrv.Address, among uint64) (blocked bool) {
	var t token
	if s.kept && a.Layer() == addr.LayerFlow {
		t = tokenKept
	}
	return s.emit(a, nil, t, among)
}

// emit is Emit for all layers of events. What is kept follows from a packet of the Source: it is not shed either.
func (s *Stack) emit(a *divertdrv.Address, data []byte, t token, among uint64) (blocked bool) {
	for _, c := range s.handles[a.Layer()] {
		if c.takes && c.opened.number <= among && c.filter.Match(a, data, nil) && c.takeEvent(a, data, t) {
			return true
		}
	}
	return false
}

// takeEvent gives c an event that it matched; true: what it tells of does not happen. A socket that closes cannot be stopped:
// a handle that blocks has a copy of that, one that drops has none (WinDivert: SOCKET CLOSE is always sniffed).
func (c *conn) takeEvent(a *divertdrv.Address, data []byte, t token) (blocked bool) {
	final := a.Event() == addr.EventClose
	switch {
	case c.dropAll && final:
		return false
	case c.dropAll:
		c.dropped++
		return true
	case c.sniffs || final:
		copied := *a
		copied.SetSniffed(true)
		c.enqueue(&copied, data, t)
		return false
	default:
		return c.enqueue(a, data, t)
	}
}
