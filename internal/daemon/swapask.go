package daemon

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/clock"
)

// current is what is under the handle now.
func (c *swapConn) current() (*lower, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, divertdrv.ErrClosed
	case c.now == nil:
		return nil, divertdrv.ErrShutdown
	}
	return c.now, nil
}

// Param asks what is under the handle now.
func (c *swapConn) Param(p divertdrv.Param) (uint64, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	return l.conn.Param(p)
}

// SetParam sets a parameter of what is under the handle now.
func (c *swapConn) SetParam(p divertdrv.Param, v uint64) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	return l.conn.SetParam(p, v)
}

// MTU asks what is under the handle now.
func (c *swapConn) MTU(p *divertdrv.Packet) int {
	l, err := c.current()
	if err != nil {
		return 0
	}
	return mtuOf(l.conn, p)
}

func mtuOf(c divertdrv.Conn, p *divertdrv.Packet) int {
	if c, ok := offers[interface{ MTU(p *divertdrv.Packet) int }](c); ok {
		return c.MTU(p)
	}
	return 0
}

// Clock is the time that deadlines of held packets go by.
func (c *swapConn) Clock() clock.Clock { return c.s.clock }

// Caps are those of what was under it first.
func (c *swapConn) Caps() divertdrv.Caps { return c.caps }

// Stats adds up what all that is, and was, under the handle counted by itself.
func (c *swapConn) Stats() divertdrv.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.gone
	for _, l := range append([]*lower{c.now, c.next}, c.past...) {
		if l != nil {
			sum.Add(l.conn.Stats())
		}
	}
	return sum
}

// Waiting is how many packets wait for a verdict, those that are held or in a batch too; known: the driver tells.
func (c *swapConn) Waiting() (n uint64, known bool) {
	l, err := c.current()
	if err != nil {
		return 0, true
	}
	if w, ok := offers[interface{ Waiting() (uint64, bool) }](l.conn); ok {
		return w.Waiting()
	}
	return 0, false
}
