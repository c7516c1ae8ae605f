package proc

import (
	"container/list"
	"sync"
	"time"

	"github.com/weirnet/weir/internal/clock"
)

// Options of a Table; the zero value of each field is its default.
type Options struct {
	System   System        // nil: events alone are known
	Clock    clock.Clock   // nil: the system's
	Max      int           // connections and sockets that are remembered; then the oldest are forgotten. 0: 65,536
	Waiting  int           // questions that may wait at once; more are unattributed. 0: 4096
	Deadline time.Duration // how long a question waits. 0: 500 ms
	Refresh  time.Duration // at least so long between two looks at the system's tables. 0: 200 ms
	Linger   time.Duration // how long a closed connection's owner is remembered, for its last packets. 0: 30 s
}

func (o *Options) fill() {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	last := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Max, 65536)
	def(&o.Waiting, 4096)
	last(&o.Deadline, 500*time.Millisecond)
	last(&o.Refresh, 200*time.Millisecond)
	last(&o.Linger, 30*time.Second)
	if o.Clock == nil {
		o.Clock = clock.System
	}
}

// Stats of a Table. Asked = Attributed + Unattributed + Waiting, at every moment.
type Stats struct {
	Asked        uint64
	Attributed   uint64
	Unattributed uint64 // not found in time, shared by different programs, or no room to wait
	Waiting      uint64
	Shared       uint64 // of Unattributed
	Refused      uint64 // of Unattributed: as many as may were waiting
	Remembered   uint64 // connections and sockets, now
	Forgotten    uint64 // of these: for want of room
	Reused       uint64 // events whose process number belonged to another process when it was looked up
	Looks        uint64 // at the system's tables
	LooksFailed  uint64
}

// Table joins events with packets. Make it with New, and Close it.
type Table struct {
	opts Options

	mu        sync.Mutex // guards all below
	stats     Stats
	entries   map[Key]*entry
	endpoints map[uint64][]Key // of those that are open, by the driver's number
	live      list.List        // of *entry, the oldest first
	closed    list.List        // of *entry, closed the longest ago first
	waiting   map[Key][]*question
	look      lookState
	ended     bool
}

// entry is what is known of a connection or a socket.
type entry struct {
	key    Key
	owners []owner
	was    Process // the last owner; valid iff owners is empty
	shared bool    // was has no name because there were several
	until  time.Time
	at     *list.Element // in live, or in closed iff owners is empty
}

// owner is a process that has a socket open, by an event or by a look.
type owner struct {
	endpoint uint64 // of an event; 0: by a look
	look     uint64 // number of the look that saw it last; 0: by an event
	process  Process
}

// maxOwners bounds what is kept of one entry, and of one endpoint.
const maxOwners = 32

// New makes a Table that knows nothing yet. Look seeds it.
func New(o Options) *Table {
	o.fill()
	return &Table{opts: o, entries: map[Key]*entry{}, endpoints: map[uint64][]Key{}, waiting: map[Key][]*question{}}
}

// Owner is who owns a connection, as far as is known now.
func (t *Table) Owner(k Key) (Process, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, _ := t.find(k)
	return p, p.Known()
}

// Stats returns a snapshot.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Remembered = uint64(len(t.entries))
	return s
}

// find looks for the connection, and then for a socket without a peer. found is true too where the owner cannot be told because
// there are several.
func (t *Table) find(k Key) (p Process, found bool) {
	if e := t.get(k); e != nil {
		return e.owner()
	}
	for _, b := range k.bound() {
		if e := t.get(b); e != nil {
			return e.owner()
		}
	}
	return Process{}, false
}

// get is the entry of a key that has not passed.
func (t *Table) get(k Key) *entry {
	e := t.entries[k]
	if e != nil && len(e.owners) == 0 && t.opts.Clock.Now().After(e.until) {
		t.forget(e)
		return nil
	}
	return e
}

func (e *entry) owner() (p Process, found bool) {
	if len(e.owners) == 0 {
		return e.was, e.was.Known() || e.shared
	}
	var all [maxOwners]Process
	n := 0
	for i := range e.owners {
		all[n] = e.owners[i].process
		n++
	}
	return merge(all[:n]), true
}

// put returns the entry of a key, and makes it if there is none, at another's cost if need be.
func (t *Table) put(k Key) *entry {
	e := t.entries[k]
	if e == nil {
		if len(t.entries) >= t.opts.Max {
			t.makeRoom()
		}
		e = &entry{key: k}
		e.at = t.live.PushBack(e)
		t.entries[k] = e
		return e
	}
	if len(e.owners) == 0 { // it opens again
		t.closed.Remove(e.at)
		e.at = t.live.PushBack(e)
		e.was, e.shared = Process{}, false
	}
	return e
}

func (t *Table) makeRoom() {
	first := t.closed.Front()
	if first == nil {
		first = t.live.Front()
		t.stats.Forgotten++
	}
	t.forget(first.Value.(*entry))
}

// forget drops an entry. Endpoints that name it then name nothing, which does no harm.
func (t *Table) forget(e *entry) {
	if len(e.owners) == 0 {
		t.closed.Remove(e.at)
	} else {
		t.live.Remove(e.at)
	}
	for _, o := range e.owners {
		t.unname(o.endpoint, e.key)
	}
	delete(t.entries, e.key)
}

// drop takes away the owners that gone names; the last one is remembered for a while.
func (t *Table) drop(e *entry, gone func(o *owner) bool) {
	if len(e.owners) == 0 {
		return
	}
	last, _ := e.owner()
	kept := e.owners[:0]
	for i := range e.owners {
		if o := e.owners[i]; !gone(&o) {
			kept = append(kept, o)
		}
	}
	clear(e.owners[len(kept):])
	if e.owners = kept; len(kept) > 0 {
		return
	}
	e.was, e.shared = last, !last.Known()
	e.until = t.opts.Clock.Now().Add(t.opts.Linger)
	t.live.Remove(e.at)
	e.at = t.closed.PushBack(e)
}
