package nfqdrv

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// echoes are packets that were passed and that the kernel will show once more, to handles that must not see them.
//
// A packet that waits in a queue remembers its place among the hooks by a number. When a handle is opened above, all places below
// move by one, and the packet goes on at the handle that it comes from, or above it. So what waited then is remembered when it is
// passed, and what comes back with the same bytes is let go on at once. It is forgotten when it has passed the handle that it
// came from, or after a second.
type echoes struct {
	some atomic.Bool // there may be any

	mu    sync.Mutex // guards what follows
	seed  maphash.Seed
	known map[uint64][]*echo
	order []*echo // oldest first
	bytes int
}

type echo struct {
	hash  uint64
	place token  // the facts of its token that say where
	rank  uint64 // of the handle that passed it
	data  []byte
	until time.Time
	gone  bool
}

// Bounds of what is remembered.
const (
	echoTime  = time.Second
	echoCount = 8192
	echoBytes = 16 << 20
)

// placeOf are the facts that say at which hook a packet was taken.
func placeOf(t token) token { return t & (tokenOutbound | tokenForward) }

// expect remembers a packet that a handle of that rank passed.
func (e *echoes) expect(t token, rank uint64, data []byte) {
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
	one := &echo{maphash.Bytes(e.seed, data), placeOf(t), rank, bytes.Clone(data), now.Add(echoTime), false}
	e.known[one.hash] = append(e.known[one.hash], one)
	e.order = append(e.order, one)
	e.bytes += len(data)
	e.some.Store(true)
}

// heard says that what a handle of that rank received is an echo.
func (e *echoes) heard(t token, rank uint64, data []byte) bool {
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
		if one.place == placeOf(t) && one.rank <= rank && bytes.Equal(one.data, data) {
			if one.rank == rank {
				e.forget(one)
			}
			return true
		}
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
	list := e.known[one.hash]
	for i := range list {
		if list[i] == one {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(e.known, one.hash)
	} else {
		e.known[one.hash] = list
	}
}
