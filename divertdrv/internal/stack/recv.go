package stack

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// Recv waits for packets and puts as many into b as wait and fit. A first packet that is larger than b is cut.
func (c *conn) Recv(b *divertdrv.Batch) error {
	s := c.stack
	s.lock()
	defer s.unlock()
	if c.sendOnly {
		return divertdrv.ErrUnsupported
	}
	for {
		if c.fill(b); b.Len() > 0 {
			return nil
		}
		if err := c.finished(); err != nil {
			return err
		}
		if !c.pulls() || !s.canPull() {
			c.wait()
			continue
		}
		s.pull(c, b)
		if b.Len() == 0 { // others first: the lock, a Shutdown, what the Sink sent
			s.unlock()
			s.lock()
		}
	}
}

// Ready says whether a Recv would return without waiting and without asking the Source: it is for who runs many readers in one
// goroutine, as a deterministic simulation does. As Recv does, it sheds what waited too long.
func (c *conn) Ready() bool {
	s := c.stack
	s.lock()
	defer s.unlock()
	c.queue.expire(s.now())
	return c.sendOnly || c.queue.n > 0 || c.finished() != nil
}

// fill moves packets from the queue into b.
func (c *conn) fill(b *divertdrv.Batch) {
	q := &c.queue
	for q.n > 0 {
		if q.timed > 0 {
			if q.expire(c.stack.now()); q.n == 0 {
				break
			}
		}
		e, data := q.oldest()
		if !c.deliver(b, &e.addr, data, e.token) {
			break
		}
		q.remove()
	}
}

// deliver puts one packet into b; false: there is no room.
func (c *conn) deliver(b *divertdrv.Batch, a *divertdrv.Address, data []byte, t token) bool {
	if c.sniffs || int(c.layer) >= walked && a.Sniffed() {
		t |= tokenCopy
	}
	if _, room := b.Room(); b.Len() == 0 && len(data) > room {
		data, t = data[:room], t|tokenCut
	}
	if !b.Append(a, data, uint64(t)) {
		return false
	}
	c.out++
	return true
}

// wait lets the lock go until something may have changed for c.
func (c *conn) wait() {
	s := c.stack
	s.idle++
	c.waiting++
	c.wake.Wait()
	c.waiting--
	s.idle--
	s.ticked = false
}

// finished returns the error of a Recv that can have no more packets; nil: there may be some.
func (c *conn) finished() error {
	switch {
	case c.closed:
		return divertdrv.ErrClosed
	case c.recvShut:
		return c.end
	case c.stack.ended && !c.reachable():
		c.recvShut, c.end = true, c.stack.end
		c.update()
		return c.end
	}
	return nil
}

// reachable says that a packet is on its way that could still come to c, or cause an event that does: it is being pulled, or
// waits, is in a batch or is held at a handle above.
func (c *conn) reachable() bool {
	if c.stack.pulling {
		return true
	}
	for _, list := range c.stack.handles[:walked] {
		for _, h := range list {
			if h.above(c) && !h.sniffs && (h.queue.n > 0 || h.out > 0) {
				return true
			}
		}
	}
	return false
}

// above says that what c lets pass may come to o. Any handle of packets is above one of events; one of fragments above those
// of whole packets; and where hosts route, one of the network layer above those of the forward layer.
func (c *conn) above(o *conn) bool {
	switch {
	case int(o.layer) >= walked:
		return true
	case c.layer != o.layer:
		return c.stack.routes && o.layer == addr.NetworkForward
	}
	return c.rank > o.rank || c.stack.joins() && c.fragments && !o.fragments
}
