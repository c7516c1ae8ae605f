package daemon

import (
	"errors"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor/policy"
)

// swapConn is the conn of one handle of the processor. One goroutine receives and completes; all else may be called from any.
//
//	idle ──replace──▶ now ──replace──▶ now leaving, next ──its end──▶ now …
//	                   └──death──▶ idle, until the driver is opened again
type swapConn struct {
	s     *swapper
	id    int
	layer divertdrv.Layer
	caps  divertdrv.Caps
	last  *lower // of the batch at hand; the receiver's own

	mu       sync.Mutex // guards all below
	changed  sync.Cond
	spec     *policy.Handle  // what should be open under it; nil: nothing
	now      *lower          // the one that is read; nil: none
	next     *lower          // is read when now has ended
	past     []*lower        // not closed yet
	gone     divertdrv.Stats // of those that are closed
	dry      bool            // the driver has no more packets for it
	recvShut bool
	sendShut bool
	closed   bool
}

// wants is what should be open under it.
func (c *swapConn) wants() *policy.Handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spec
}

// working says whether packets may come.
func (c *swapConn) working() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.dry && (c.next != nil || c.now != nil && !c.now.leaving)
}

// end has Recv of an idle conn end.
func (c *swapConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dry = true
	c.changed.Broadcast()
}

// replace puts l, or nothing, in the place of what is under the handle. s.ops is held, so there is one at a time. It returns when
// no rule brings packets to the old one any more; what is queued there is still read.
func (c *swapConn) replace(l *lower) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.s.discard([]*lower{l})
	}
	if l != nil {
		l.tag = c.freeTag()
		l.shut(c.recvShut, c.sendShut)
	}
	c.await() // a change before this one
	if l == nil {
		c.giveUp()
	}
	old := c.now
	if old == nil {
		c.now = l
		c.sweep()
	} else {
		old.leaving, c.next = true, l
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.conn.Shutdown(divertdrv.ShutdownRecv)
}

// await waits until the change before is over: until the old lower handle was read to its end. It needs c.mu, and gives it up
// meanwhile.
func (c *swapConn) await() {
	for c.now != nil && c.now.leaving && !c.closed {
		c.changed.Wait()
	}
}

// changes says whether what was replaced is still being read.
func (c *swapConn) changes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now != nil && c.now.leaving && !c.closed
}

// Shutdown ends receiving, sending, or both, also of what comes under the handle later.
func (c *swapConn) Shutdown(how divertdrv.Shutdown) error {
	c.mu.Lock()
	c.recvShut = c.recvShut || how&divertdrv.ShutdownRecv != 0
	c.sendShut = c.sendShut || how&divertdrv.ShutdownSend != 0
	now, next := c.now, c.next
	c.changed.Broadcast()
	c.mu.Unlock()
	var errs []error
	for _, l := range []*lower{now, next} {
		if l != nil {
			errs = append(errs, l.conn.Shutdown(how))
		}
	}
	return errors.Join(errs...)
}

// Close closes all that is, and was, under the handle.
func (c *swapConn) Close() error {
	c.mu.Lock()
	c.closed = true
	all := append([]*lower{c.now, c.next}, c.past...)
	c.changed.Broadcast()
	c.mu.Unlock()
	var errs []error
	for _, l := range all {
		if l != nil {
			errs = append(errs, l.conn.Close())
		}
	}
	return errors.Join(errs...)
}
