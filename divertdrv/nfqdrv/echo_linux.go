package nfqdrv

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// echoes are packets that were passed and that the kernel will show once more, to handles that must not see them.
//
// A packet that waits in a queue remembers its place among the hooks by a number. When a handle is opened above, all places below
// move by one, and the packet goes on at the handle that it comes from, or above it. So what waited then is remembered when it is
// passed, and what comes back with the same bytes is let go on at once, and counted (Stats.Repeated).
//
// It comes back, if it does, while the kernel is told of the pass: in each queue it has an id between the last before and the last
// after. When it was let go on it may come to the next handle in the same way, until it is through with the one that passed it. So a
// packet that merely has the same bytes is not taken for it, unless it came in that moment; and if it did, one of two
// equal packets was let go on and the other is shown, which nobody can tell from the right order.
type echoes struct {
	some atomic.Bool // there may be any

	mu    sync.Mutex // guards what follows
	seed  maphash.Seed
	known map[uint64][]*echo
	order []*echo // oldest first
	bytes int
}

type echo struct {
	hash   uint64
	place  token // the facts of its token that say where
	data   []byte
	from   *conn
	flight *flight // the last pass of it
	until  time.Time
	gone   bool
}

// flight is the passes that the kernel is told of together.
type flight struct {
	landed atomic.Bool
	legs   []leg
}

// leg is where in a handle's queue echoes can be.
type leg struct {
	to    *conn
	after uint32 // the last id before
	last  uint32 // the last id after; valid iff landed
}

// Bounds of what is remembered.
const (
	echoTime  = time.Second
	echoCount = 8192
	echoBytes = 16 << 20
)

// placeOf are the facts that say at which hook a packet was taken.
func placeOf(t token) token { return t & (tokenOutbound | tokenForward) }

// depart begins a flight, before the kernel is told.
func (s *shared) depart() *flight {
	f := &flight{}
	s.mu.Lock()
	for _, to := range s.conns {
		if to.queue != nil {
			f.legs = append(f.legs, leg{to: to})
		}
	}
	s.mu.Unlock()
	for i := range f.legs {
		f.legs[i].after = f.legs[i].to.lastID()
	}
	return f
}

// land ends it, when the kernel was told.
func (f *flight) land() {
	for i := range f.legs {
		f.legs[i].last = f.legs[i].to.lastID()
	}
	f.landed.Store(true)
}

// lastID is that of the packet that was queued last. Who is asked was asked before, so the kernel tells.
func (c *conn) lastID() uint32 {
	s, _ := c.queue.Stats()
	return uint32(s.LastID)
}

// covers says that an echo can have this id in a handle's queue.
func (f *flight) covers(c *conn, id uint32) bool {
	for i := range f.legs {
		if l := &f.legs[i]; l.to == c {
			return int32(id-l.after) > 0 && (!f.landed.Load() || int32(id-l.last) <= 0)
		}
	}
	return false
}

// expect remembers a packet that is passed.
func (e *echoes) expect(t token, from *conn, f *flight, data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known == nil {
		e.known, e.seed = make(map[uint64][]*echo), maphash.MakeSeed()
	}
	now := time.Now()
	e.expire(now)
	if len(e.order) >= echoCount || e.bytes+len(data) > echoBytes {
		return
	}
	one := &echo{hash: maphash.Bytes(e.seed, data), place: placeOf(t), data: bytes.Clone(data), from: from, flight: f, until: now.Add(echoTime)}
	e.known[one.hash] = append(e.known[one.hash], one)
	e.order = append(e.order, one)
	e.bytes += len(data)
	e.some.Store(true)
}

// heard says that what a handle received is an echo. It is let go on by the flight that next returns.
func (e *echoes) heard(c *conn, t token, data []byte, next func() *flight) bool {
	if !e.some.Load() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expire(time.Now())
	if e.known == nil {
		return false
	}
	for _, one := range e.known[maphash.Bytes(e.seed, data)] {
		if one.place != placeOf(t) || c.rank < one.from.rank || !one.flight.covers(c, t.id()) || !bytes.Equal(one.data, data) {
			continue
		}
		if c == one.from {
			e.forget(one)
		} else {
			one.flight = next()
		}
		return true
	}
	return false
}

// expire forgets what is too old.
func (e *echoes) expire(now time.Time) {
	for len(e.order) > 0 && (e.order[0].gone || now.After(e.order[0].until)) {
		e.forget(e.order[0])
		e.order = e.order[1:]
	}
	if len(e.order) == 0 {
		e.order = nil
		e.some.Store(false)
	}
}

func (e *echoes) forget(one *echo) {
	if one.gone {
		return
	}
	one.gone = true
	e.bytes -= len(one.data)
	list := slices.DeleteFunc(e.known[one.hash], func(o *echo) bool { return o == one })
	if len(list) == 0 {
		delete(e.known, one.hash)
	} else {
		e.known[one.hash] = list
	}
}
