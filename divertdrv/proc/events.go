package proc

import (
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Event tells the table what happened: an address of the SOCKET or FLOW layer; others are ignored. It looks the process up, which
// takes a system call or two, so it belongs to the goroutine that reads events.
func (t *Table) Event(a *divertdrv.Address) {
	f := a.Flow()
	if l := a.Layer(); l != divertdrv.LayerSocket && l != divertdrv.LayerFlow || f.Protocol != wire.ProtoTCP && f.Protocol != wire.ProtoUDP {
		return
	}
	k := Key{Local: wire.EndpointFrom(f.Local), Proto: f.Protocol}
	peer := Key{k.Local, wire.EndpointFrom(f.Remote), f.Protocol}
	switch a.Event() {
	case addr.EventBind, addr.EventListen:
		t.opened(k, f, t.when(a))
	case addr.EventConnect, addr.EventAccept, addr.EventEstablished:
		t.opened(peer, f, t.when(a))
	case addr.EventDeleted:
		t.mu.Lock()
		t.gone(peer, f.EndpointID)
		t.mu.Unlock()
	case addr.EventClose:
		t.mu.Lock()
		for _, k := range slices.Clone(t.endpoints[f.EndpointID]) {
			t.gone(k, f.EndpointID)
		}
		t.mu.Unlock()
	}
}

// when is the time of an event.
func (t *Table) when(a *divertdrv.Address) time.Time {
	return eventTime(a.Timestamp, t.opts.Clock.Now())
}

// opened notes that a process has a connection or a socket from now on.
func (t *Table) opened(k Key, f addr.Flow, at time.Time) {
	p, reused := t.resolve(f.ProcessID, at)
	if !p.Known() {
		return // nobody's
	}
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	if reused {
		t.stats.Reused++
	}
	t.add(t.put(k), owner{endpoint: f.EndpointID, process: p})
	calls := t.answer(k)
	t.mu.Unlock()
	run(calls)
}

// add puts an owner that an event named. Of a connection there is one: whoever was there before has gone, though nobody said so.
func (t *Table) add(e *entry, o owner) {
	kept := e.owners[:0]
	for _, x := range e.owners {
		switch {
		case e.key.Remote != (wire.Endpoint{}) || x.endpoint == o.endpoint && x.look == 0:
			t.unname(x.endpoint, e.key)
		case x.look != 0 && x.process.ID == o.process.ID: // a look saw the same
		default:
			kept = append(kept, x)
		}
	}
	clear(e.owners[len(kept):])
	if len(kept) < maxOwners {
		kept = append(kept, o)
		t.name(o.endpoint, e.key)
	}
	e.owners = kept
}

// name notes what an endpoint has open, so that its CLOSE closes all that.
func (t *Table) name(endpoint uint64, k Key) {
	keys := t.endpoints[endpoint]
	if endpoint == 0 || slices.Contains(keys, k) {
		return
	}
	if len(keys) == maxOwners { // of a socket without a peer that talks to many: the oldest end by their own DELETED, or by age
		keys = append(keys[:1:1], keys[2:]...) // the first is what it is bound to
	}
	t.endpoints[endpoint] = append(keys, k)
}

func (t *Table) unname(endpoint uint64, k Key) {
	if endpoint == 0 {
		return
	}
	keys := slices.DeleteFunc(t.endpoints[endpoint], func(x Key) bool { return x == k })
	if len(keys) == 0 {
		delete(t.endpoints, endpoint)
		return
	}
	t.endpoints[endpoint] = keys
}

// gone notes that an endpoint has closed a connection or socket.
func (t *Table) gone(k Key, endpoint uint64) {
	if e := t.entries[k]; e != nil {
		t.drop(e, func(o *owner) bool { return o.endpoint == endpoint && o.look == 0 })
		t.unname(endpoint, k)
	}
}

// resolve describes the process that an event at a time names; zero: now. Another one that has the number since is not described.
func (t *Table) resolve(id uint32, at time.Time) (p Process, reused bool) {
	if id == 0 || t.opts.System == nil {
		return Process{ID: id}, false
	}
	p, err := t.opts.System.Process(id)
	switch {
	case err != nil:
		return Process{ID: id}, false // it has ended already, or is not ours to see
	case !at.IsZero() && p.Start.After(at):
		return Process{ID: id}, true
	}
	return p, false
}
