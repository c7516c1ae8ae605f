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
	aboveAll  = ^rank(0)
	rankShift = 48 // bits for the opening counter
)

func rankOf(priority int16, opened uint64) rank {
	return rank(int(priority)-addr.PriorityLowest)<<rankShift | rank(opened)
}

// walk leads a packet past the handles of layer l below rank from. The error is the Sink's: the packet went to the end and
// was not taken there.
func (s *Stack) walk(l addr.Layer, from rank, a *divertdrv.Address, data []byte, kept bool) error {
	if len(data) > divertdrv.MTUMax {
		s.stats.Oversize++
		return s.leave(a, data)
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
		if c.filter.Match(a, data, &s.headers) && c.take(a, data, kept) {
			return nil
		}
	}
	return s.leave(a, data)
}

// take gives c a packet that it matched; false: the packet walks on.
func (c *conn) take(a *divertdrv.Address, data []byte, kept bool) bool {
	switch {
	case c.dropAll:
		c.dropped++
		return true
	case c.sniffs:
		copied := *a
		copied.SetSniffed(true)
		c.enqueue(&copied, data, kept)
		return false
	default:
		return c.enqueue(a, data, kept)
	}
}

// enqueue puts a packet into the batch that c is filling, if it is next and fits, else into the queue; false: by the overload
// policy it passes by.
func (c *conn) enqueue(a *divertdrv.Address, data []byte, kept bool) bool {
	if c.filling != nil && c.queue.n == 0 && c.deliver(c.filling, a, data, kept) {
		return true
	}
	var now int64
	if !kept || c.queue.timed > 0 {
		now = c.stack.now()
	}
	switch c.queue.admit(a, data, now, kept) {
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
	s.sank = true
	s.entrance.sinking.Store(true)
	err := s.sink(a, data)
	s.entrance.sinking.Store(false)
	if err != nil {
		s.stats.Refused++
		return err
	}
	s.stats.Left++
	return nil
}
