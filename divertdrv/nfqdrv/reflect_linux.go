package nfqdrv

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// How REFLECT knows of handles: each one writes itself into a table that all processes share (package ranks) when it is open, and
// again when it is closed. Who watches looks into the table when its number of changes is another. A process that was killed wrote
// nothing; who watches sees that it is gone.
const (
	reflectEvery = 5 * time.Millisecond
	buryEvery    = 200 * time.Millisecond
)

// announce makes a handle known that is open.
func (c *conn) announce(space uint64, o *divertdrv.Options) error {
	c.shown = ranks.Handle{
		Space: space, Opened: time.Now().UnixNano(), Flags: uint64(o.Flags), Priority: o.Priority, Layer: uint8(c.layer),
	}
	return c.show()
}

// show tells of the handle with the filter that it goes by now.
func (c *conn) show() error {
	object, err := c.asked.Load().filter.Object()
	if err != nil {
		return err
	}
	c.shown.SetObject(object)
	return c.driver.shared.registry.Announce(c.rank.Opening(), &c.shown)
}

// spaceOf names a network namespace by its inode.
func spaceOf(ns int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		return 0, fmt.Errorf("the network namespace: %w", err)
	}
	return st.Ino, nil
}

// reflector is an open handle at REFLECT. It is told of the handles of its network namespace, in every process.
type reflector struct {
	driver *Driver
	filter *divertdrv.Filter
	space  uint64
	stop   chan struct{} // closed to end the watch
	over   chan struct{} // closed when it has ended

	mu       sync.Mutex // guards all below
	more     sync.Cond  // something is queued, or receiving ends
	queue    backlog
	known    map[uint64]bool // handles that were told of, by number: whether they were open
	changes  uint64          // of the table, when it was looked at
	buried   time.Time
	lostBy   [reason.Max]uint64
	shutdown bool
	closed   bool
	now      int64 // by clock.Steady
}

// openReflect opens a handle at REFLECT, and queues what is open already.
func (d *Driver) openReflect(f *divertdrv.Filter, o *divertdrv.Options) (divertdrv.Conn, error) {
	if err := d.shared.take(); err != nil {
		return nil, denied(err)
	}
	r := &reflector{driver: d, filter: f, stop: make(chan struct{}), over: make(chan struct{}), known: make(map[uint64]bool)}
	r.more.L = &r.mu
	overload := o.Overload
	if overload == divertdrv.OverloadOpen {
		overload = divertdrv.OverloadClosed // an event has nowhere to go on to
	}
	r.queue.init(overload)
	r.queue.lose = func(_ token, why divertdrv.Cause) { r.lostBy[why%reason.Max]++ }
	err := d.inside(func(ns int) (err error) {
		r.space, err = spaceOf(ns)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, d.shared.give())
	}
	d.shared.registry.Bury()
	r.changes = d.shared.registry.Changes()
	for _, h := range d.shared.registry.Handles(r.space) {
		if r.known[h.Number] = h.Closed == 0; h.Closed == 0 {
			r.tell(happening{event: addr.EventOpen, at: time.Now().UnixNano(), handle: &h.Handle})
		}
	}
	go r.watch()
	return r, nil
}

// watch looks until the handle is closed.
func (r *reflector) watch() {
	defer close(r.over)
	t := time.NewTicker(reflectEvery)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-t.C:
			r.mu.Lock()
			if r.look(); r.queue.n > 0 {
				r.more.Broadcast()
			}
			r.mu.Unlock()
		}
	}
}

// happening is one event.
type happening struct {
	event  addr.Event
	at     int64
	number uint64
	handle *ranks.Handle
}

// look queues what has happened since the last look. It needs r.mu.
func (r *reflector) look() {
	reg := r.driver.shared.registry
	if now := time.Now(); now.Sub(r.buried) >= buryEvery {
		r.buried = now
		reg.Bury()
	}
	changes := reg.Changes()
	if changes == r.changes || r.shutdown {
		return
	}
	all := r.handles(&changes)
	r.changes = changes
	var news []happening
	there := make(map[uint64]bool, len(all))
	for i := range all {
		h := &all[i]
		there[h.Number] = true
		open, known := r.known[h.Number]
		if !known {
			news = append(news, happening{addr.EventOpen, h.Opened, h.Number, &h.Handle})
		}
		if h.Closed != 0 && (open || !known) {
			news = append(news, happening{addr.EventClosed, h.Closed, h.Number, &h.Handle})
		}
		r.known[h.Number] = h.Closed == 0
	}
	for number, open := range r.known {
		if !open && !there[number] {
			delete(r.known, number) // forgotten by all
		}
	}
	slices.SortStableFunc(news, func(a, b happening) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number))
	})
	for _, n := range news {
		r.tell(n)
	}
}

// looksMax bounds how often the table is read for one look.
const looksMax = 10

// handles reads the table, and again if it changed meanwhile: a reading that has the end of one handle, but not the beginning of
// another before it, would tell of the two the wrong way round. changes is the number of changes before the last reading.
func (r *reflector) handles(changes *uint64) (all []ranks.Numbered) {
	reg := r.driver.shared.registry
	for i := 1; ; i++ {
		all = reg.Handles(r.space)
		now := reg.Changes()
		if now == *changes || i == looksMax {
			return all
		}
		*changes = now
	}
}

// tell queues an event that the filter wants. It needs r.mu, or that nobody else has the handle yet.
func (r *reflector) tell(n happening) {
	var a divertdrv.Address
	a.SetLayer(addr.LayerReflect, n.event)
	a.SetSniffed(true)
	a.Timestamp = n.at
	a.SetReflect(addr.Reflect{
		Timestamp: n.handle.Opened, ProcessID: n.handle.PID, Layer: addr.Layer(n.handle.Layer), Flags: addr.Flags(n.handle.Flags),
		Priority: n.handle.Priority,
	})
	r.now = clock.Steady(time.Now())
	if object := n.handle.Object(); r.filter.Match(&a, object, nil) {
		r.queue.admit(&a, object, r.now, tokenCopy)
	}
}

// Recv waits for events.
func (r *reflector) Recv(b *divertdrv.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.closed:
			return divertdrv.ErrClosed
		default:
			r.look()
		}
		r.now = clock.Steady(time.Now())
		for r.queue.expire(r.now); r.queue.n > 0; r.queue.remove() {
			if e := r.queue.oldest(); !deliver(b, &e.addr, r.queue.data(e), e.token) {
				break
			}
		}
		switch {
		case b.Len() > 0:
			return nil
		case r.shutdown:
			return divertdrv.ErrShutdown
		}
		r.more.Wait()
	}
}

// Complete has nothing to say: events go nowhere.
func (r *reflector) Complete(*divertdrv.Batch) error { return nil }

// Release is the same.
func (r *reflector) Release(uint64, divertdrv.Mark, *divertdrv.Packet) error { return nil }

// Inject is for packets.
func (r *reflector) Inject([]divertdrv.Packet) (int, error) { return 0, divertdrv.ErrUnsupported }

// Param is conn.Param.
func (r *reflector) Param(p divertdrv.Param) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, divertdrv.ErrClosed
	}
	return r.queue.param(p)
}

// SetParam is conn.SetParam.
func (r *reflector) SetParam(p divertdrv.Param, v uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return divertdrv.ErrClosed
	}
	return r.queue.setParam(p, v)
}

// Shutdown ends receiving: what has happened until now is told.
func (r *reflector) Shutdown(how divertdrv.Shutdown) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if how&divertdrv.ShutdownRecv == 0 || r.shutdown || r.closed {
		return nil
	}
	r.look()
	r.shutdown = true
	r.more.Broadcast()
	return nil
}

// Close ends the handle; events that nobody read end with it.
func (r *reflector) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	for ; r.queue.n > 0; r.queue.remove() {
		r.queue.lose(r.queue.oldest().token, reason.Abandoned)
	}
	r.more.Broadcast()
	r.mu.Unlock()
	close(r.stop)
	<-r.over
	return r.driver.shared.give()
}

// Caps is what the handle can do.
func (r *reflector) Caps() divertdrv.Caps { return divertdrv.Caps{LossCounted: true, HoldMax: HoldMax} }

// Stats has what was lost.
func (r *reflector) Stats() (s divertdrv.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.LostBy = r.lostBy
	for _, n := range s.LostBy {
		s.Lost += n
	}
	return s
}
