package proc

import (
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// lookState is when the system's tables were looked at.
type lookState struct {
	running sync.Mutex // one look at a time; taken before Table.mu

	// Guarded by Table.mu.
	started, ended uint64 // how many
	last           time.Time
	timer          clock.Timer // of the one that is due; nil: none is
}

// next is the number of the first look that starts from now on.
func (l *lookState) next() uint64 { return l.started + 1 }

// Look reads the system's socket tables now: it seeds a table, and tells whether they can be read. Sockets that were there at the
// look before and are not any more count as closed. What an event said later than the tables were read stays.
func (t *Table) Look() error {
	if t.opts.System == nil {
		return nil
	}
	t.look.running.Lock()
	defer t.look.running.Unlock()
	t.mu.Lock()
	t.look.started++
	number := t.look.started
	t.look.last = t.opts.Clock.Now()
	t.mu.Unlock()

	sockets, err := t.opts.System.Sockets()
	known := map[uint32]Process{}
	for _, s := range sockets {
		for _, id := range s.Owners {
			if _, ok := known[id]; !ok {
				known[id], _ = t.resolve(id, time.Time{})
			}
		}
	}

	t.mu.Lock()
	calls := t.seen(number, sockets, known, err)
	t.mu.Unlock()
	run(calls)
	return err
}

// seen takes over what a look has found, and answers what waited for it.
func (t *Table) seen(number uint64, sockets []Socket, known map[uint32]Process, err error) (calls []func()) {
	t.look.ended = number
	t.stats.Looks++
	if t.ended {
		return nil
	}
	if err != nil {
		t.stats.LooksFailed++
	} else {
		for _, s := range sockets[:min(len(sockets), t.opts.Max)] {
			t.saw(number, s, known)
		}
		t.sweep(number)
	}
	for _, list := range t.waiting {
		for _, q := range append([]*question(nil), list...) {
			p, found := t.find(q.key)
			if found || q.inbound && q.asked <= number {
				calls = append(calls, t.take(q, p, found)...)
			}
		}
	}
	if len(t.waiting) > 0 {
		t.wantLook()
	}
	return calls
}

// saw notes the owners of one socket.
func (t *Table) saw(number uint64, s Socket, known map[uint32]Process) {
	if e := t.entries[s.Key]; len(s.Owners) == 0 || e != nil && len(e.owners) == 0 && e.until.After(t.look.last.Add(t.opts.Linger)) {
		return // nobody's, or closed since the tables were read
	}
	e := t.put(s.Key)
	peer := s.Key.Remote != (wire.Endpoint{})
	for _, id := range s.Owners {
		e.saw(number, peer, known[id])
	}
}

func (e *entry) saw(number uint64, peer bool, p Process) {
	for i := range e.owners {
		o := &e.owners[i]
		switch {
		case o.look == 0 && (peer || o.process.ID == p.ID):
			return // an event knows better
		case o.look != 0 && o.process.ID == p.ID && o.process.Start.Equal(p.Start):
			o.look = number
			return
		}
	}
	if len(e.owners) < maxOwners {
		e.owners = append(e.owners, owner{look: number, process: p})
	}
}

// sweep closes what earlier looks saw and this one did not.
func (t *Table) sweep(number uint64) {
	stale := func(o *owner) bool { return o.look != 0 && o.look < number }
	for at := t.live.Front(); at != nil; {
		e := at.Value.(*entry)
		at = at.Next()
		t.drop(e, stale)
	}
}

// wantLook has the tables looked at soon. t.mu is held.
func (t *Table) wantLook() {
	if t.opts.System == nil || t.look.timer != nil || t.ended {
		return
	}
	d := max(0, t.opts.Refresh-t.opts.Clock.Now().Sub(t.look.last))
	t.look.timer = t.opts.Clock.AfterFunc(d, func() {
		t.mu.Lock()
		t.look.timer = nil
		t.mu.Unlock()
		_ = t.Look() // it is counted
	})
}
