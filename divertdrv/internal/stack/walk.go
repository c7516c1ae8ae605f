package stack

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// rank orders the handles of a layer: by priority, equal priorities by age, the newest first (WinDivert: the opening counter
// in the low bits). A packet that a handle passes or injects visits strictly lower ranks.
type rank uint64

const (
	rankShift      = 44      // bits for the opening counter; 16 above it for the priority
	aboveAll  rank = 1 << 60 // fits into a token
	_              = uint64(aboveAll) << tokenShift
)

func rankOf(priority int16, opened uint64) rank {
	return rank(int(priority)-addr.PriorityLowest)<<rankShift | rank(opened)
}

// walk leads a packet past the handles of layer l below rank from. The error is the Sink's: the packet went to the end and
// was not taken there.
func (s *Stack) walk(l addr.Layer, from rank, a *divertdrv.Address, data []byte, t token) error {
	s.kept = t.kept()
	if len(data) > divertdrv.MTUMax {
		s.stats.Oversize++
		return s.leave(a, data)
	}
	if l == addr.Network && s.joins() && !a.Outbound() && !t.kept() && mayBeFragment(data) {
		return s.walkInbound(from, a, data, t)
	}
	parsed := false
	for _, c := range s.handles[l] {
		if c.rank >= from || !c.takes {
			continue
		}
		if !parsed {
			wire.Parse(data, &s.headers)
			parsed = true
		}
		if c.filter.Match(a, data, &s.headers) && c.take(a, data, t) {
			return nil
		}
	}
	return s.leave(a, data)
}

// take gives c a packet that it matched; false: the packet walks on.
func (c *conn) take(a *divertdrv.Address, data []byte, t token) bool {
	switch {
	case c.dropAll:
		c.dropped++
		return true
	case c.sniffs:
		copied := *a
		copied.SetSniffed(true)
		c.enqueue(&copied, data, t)
		return false
	default:
		return c.enqueue(a, data, t)
	}
}

// enqueue puts a packet into the batch that c is filling, if it is next and fits, else into the queue; false: by the overload
// policy it passes by.
func (c *conn) enqueue(a *divertdrv.Address, data []byte, t token) bool {
	if c.filling != nil && c.queue.n == 0 && c.deliver(c.filling, a, data, t) {
		return true
	}
	var now int64
	if !t.kept() || c.queue.timed > 0 {
		now = c.stack.now()
	}
	switch c.queue.admit(a, data, now, t) {
	case passesBy:
		return false
	case queued:
		if c.waiting > 0 {
			c.wake.Signal() // one packet, one reader: none sleeps while more packets wait than readers are on their way
		}
	}
	return true
}

// leave gives a packet to the Sink.
func (s *Stack) leave(a *divertdrv.Address, data []byte) error {
	if !s.sank {
		s.sank = true
		s.entrance.sinking.Store(true) // until admit: once for a batch
	}
	if err := s.sink(a, data); err != nil {
		s.stats.Refused++
		return err
	}
	s.stats.Left++
	return nil
}

// Onward lets a packet walk at the forward layer that came to its end at the network layer; it is for the Sink to call. Such a
// packet has entered and leaves twice.
func (s *Stack) Onward(a *divertdrv.Address, data []byte) error {
	s.stats.Entered++
	var t token
	if s.kept {
		t = tokenKept
	}
	return s.walk(addr.NetworkForward, aboveAll, a, data, t)
}
