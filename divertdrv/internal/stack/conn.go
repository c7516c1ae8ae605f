package stack

import (
	"fmt"
	"slices"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// conn is one open handle. The lock of its stack guards what is not fixed by Open.
//
//	open ──Shutdown(recv), End──▶ recvShut: reads what is queued, takes nothing more ──▶ closed
//	open ──Shutdown(send)───────▶ sendShut: puts nothing back ─────────────────────────▶ closed
type conn struct {
	stack  *Stack
	filter *divertdrv.Filter
	layer  addr.Layer
	rank   rank
	opened opening

	sniffs, dropAll, recvOnly, sendOnly, fragments bool

	takes              bool  // packets that match are taken; see update
	recvShut, sendShut bool  // by Shutdown, or recvShut when nothing can come any more
	end                error // valid iff recvShut: what Recv returns when the queue is empty
	closed             bool

	queue   queue
	filling *divertdrv.Batch // its Recv is pulling and takes packets directly
	out     int              // packets in batches or held
	dropped uint64           // by dropAll
	wake    sync.Cond        // of the Recvs that wait, on the stack's lock
	waiting int
}

// Open opens a handle of rank o.Priority that sees packets or events from now on; one at REFLECT is also told of the handles
// that are open. Which layers there are is for the driver to say.
func (s *Stack) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if o.Readers > 1 {
		return nil, fmt.Errorf("%w: %d readers; %s has one queue per handle and keeps its order", divertdrv.ErrUnsupported, o.Readers, s.name)
	}
	object, err := f.Object()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", divertdrv.ErrInvalid, err)
	}
	s.lock()
	defer s.unlock()
	if s.closed {
		return nil, divertdrv.ErrClosed
	}
	s.opened++
	has := func(f addr.Flags) bool { return o.Flags&f != 0 }
	c := &conn{
		stack: s, filter: f, layer: l, rank: rankOf(o.Priority, s.opened), end: divertdrv.ErrShutdown,
		opened: opening{number: s.opened, object: append([]byte(object), 0)},
		sniffs: has(addr.Sniff), dropAll: has(addr.DropAll), recvOnly: has(addr.RecvOnly), sendOnly: has(addr.SendOnly),
		fragments: has(addr.Fragments),
	}
	c.queue = newQueue(c.overload(o.Overload))
	c.wake.L = &s.mu
	c.update()
	s.insert(c)
	c.announce(o)
	return c, nil
}

// overload is the policy that holds for c: a copy that cannot be queued does not go on, the packet does that. It is lost.
func (c *conn) overload(o divertdrv.Overload) divertdrv.Overload {
	if c.sniffs && o == divertdrv.OverloadOpen {
		return divertdrv.OverloadClosed
	}
	return o
}

func (s *Stack) insert(c *conn) {
	list := s.handles[c.layer]
	i := slices.IndexFunc(list, func(h *conn) bool { return h.rank < c.rank })
	if i < 0 {
		i = len(list)
	}
	s.handles[c.layer] = slices.Insert(list, i, c)
}

func (c *conn) update() { c.takes = !c.sendOnly && !c.recvShut && !c.closed }

// Clock is the time that deadlines of held packets go by.
func (c *conn) Clock() clock.Clock { return c.stack.clock }

// Caps is what the driver said that it can do.
func (c *conn) Caps() divertdrv.Caps { return c.stack.caps }

// Param reads a limit of the queue, or the version of WinDivert whose semantics this is.
func (c *conn) Param(p divertdrv.Param) (uint64, error) {
	c.stack.lock()
	defer c.stack.unlock()
	switch {
	case c.closed:
		return 0, divertdrv.ErrClosed
	case int(p) < len(c.queue.limit):
		return c.queue.limit[p], nil
	case p == addr.VersionMajor, p == addr.VersionMinor:
		return 2, nil
	}
	return 0, divertdrv.ErrUnsupported
}

// SetParam sets a limit of the queue, which holds from the next packet on.
func (c *conn) SetParam(p divertdrv.Param, v uint64) error {
	c.stack.lock()
	defer c.stack.unlock()
	lo, hi, _, ok := p.Range()
	switch {
	case c.closed:
		return divertdrv.ErrClosed
	case !ok || v < lo || v > hi:
		return divertdrv.ErrInvalid
	}
	c.queue.limit[p] = v
	return nil
}

// Shutdown ends receiving, sending or both, and wakes a waiting Recv.
func (c *conn) Shutdown(how divertdrv.Shutdown) error {
	c.stack.lock()
	defer c.stack.unlock()
	if how&divertdrv.ShutdownRecv != 0 {
		c.recvShut = true
		c.update()
		c.wake.Broadcast()
	}
	if how&divertdrv.ShutdownSend != 0 {
		c.sendShut = true
	}
	return nil
}

// Close lets unread packets walk on and ends the handle.
func (c *conn) Close() error {
	c.stack.lock()
	defer c.stack.unlock()
	c.close()
	return nil
}

// close is Close under the lock. The handle keeps its place until its queue is empty, so nothing overtakes.
func (c *conn) close() {
	if c.closed {
		return
	}
	s := c.stack
	for q := &c.queue; q.n > 0; {
		if q.timed > 0 {
			if q.expire(s.now()); q.n == 0 {
				break
			}
		}
		e, data := q.oldest()
		if c.sniffs || int(c.layer) >= walked { // copies, and events that are over
			q.lose(reason.Abandoned)
		} else {
			_ = s.walk(c.layer, c.rank, &e.addr, data, e.token) // an error of the Sink is counted there
		}
		q.remove()
	}
	c.closed = true
	c.update()
	s.handles[c.layer] = slices.DeleteFunc(s.handles[c.layer], func(h *conn) bool { return h == c })
	c.wake.Broadcast()
	s.reflect(c, addr.EventClosed)
}

// Stats returns what the engine did by itself: packets that it lost, and those of a DropAll handle.
func (c *conn) Stats() divertdrv.Stats {
	c.stack.lock()
	defer c.stack.unlock()
	st := divertdrv.Stats{Received: c.dropped, Lost: c.queue.lost, LostBy: c.queue.lostBy}
	st.Dropped[reason.DropHandle] = c.dropped
	return st
}

// MTU is asked by divertdrv.Handle.
func (c *conn) MTU(p *divertdrv.Packet) int {
	if c.stack.mtu == nil {
		return 0
	}
	return c.stack.mtu(p.Addr, p.Data)
}
