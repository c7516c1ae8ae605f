package daemon

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// Recv receives from what is under the handle, whatever that is by then.
func (c *swapConn) Recv(b *divertdrv.Batch) error {
	for {
		l, err := c.reading()
		if err != nil {
			return err
		}
		if err = l.conn.Recv(b); err == nil {
			l.mark(b)
			c.last = l
			return nil
		}
		if !c.goesOn(l, err) {
			return err
		}
	}
}

// mark makes tokens those of l.
func (l *lower) mark(b *divertdrv.Batch) {
	if l.tag == 0 {
		return
	}
	for i := range b.Packets() {
		b.SetToken(i, b.Token(i)^l.tag)
	}
}

// reading waits for something to read.
func (c *swapConn) reading() (*lower, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, divertdrv.ErrClosed
		case c.now != nil:
			return c.now, nil
		case c.recvShut, c.dry:
			return nil, divertdrv.ErrShutdown
		}
		c.changed.Wait()
	}
}

// goesOn is told how reading l ended, and says whether there is, or will be, something else to read.
func (c *swapConn) goesOn(l *lower, err error) bool {
	c.mu.Lock()
	ended := errors.Is(err, divertdrv.ErrShutdown) || errors.Is(err, divertdrv.ErrClosed)
	switch {
	case c.closed:
		c.mu.Unlock()
		return false
	case ended && c.recvShut && !l.leaving:
		c.mu.Unlock()
		return false
	case l.leaving:
		l.over = true
		c.advance(l)
		c.mu.Unlock()
		return true // reading tells if this was all
	case ended:
		c.dry = true
		c.mu.Unlock()
		c.s.ended()
		return false
	case !c.s.reopens:
		c.mu.Unlock()
		return false
	}
	l.over = true
	c.bury(l)
	c.mu.Unlock()
	c.s.died(c, err)
	return true
}

// Complete gives a batch back to where it came from. A driver that died loses it: its packets are counted as such, and that is no
// reason to end.
func (c *swapConn) Complete(b *divertdrv.Batch) error {
	l := c.last
	l.mark(b) // and so unmarks it
	err := l.conn.Complete(b)
	held := 0
	for i := range b.Packets() {
		if b.IsHeld(i) {
			held++
		}
	}
	if held == 0 && err == nil {
		return nil
	}
	c.mu.Lock()
	l.held += held
	fatal := err != nil && !(c.s.reopens && !c.closed)
	if err == nil || fatal {
		c.mu.Unlock()
		return err
	}
	for i := range b.Packets() {
		b.Fail(i, reason.SendFailed)
	}
	told := l.dead
	if !told {
		l.over = true
		c.bury(l)
	}
	c.mu.Unlock()
	if !told {
		c.s.died(c, err)
	}
	return nil
}

// Release gives a held packet back to where it came from.
func (c *swapConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	l := c.owner(token)
	if l == nil {
		return divertdrv.ErrClosed // it died
	}
	err := l.conn.Release(token&(1<<tagShift-1), m, p)
	c.mu.Lock()
	defer c.mu.Unlock()
	l.released++
	c.sweep()
	return err
}

func (c *swapConn) owner(token uint64) *lower {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range append([]*lower{c.now, c.next}, c.past...) {
		if l != nil && l.tag == token>>tagShift<<tagShift {
			return l
		}
	}
	return nil
}

// Inject puts packets in by what is under the handle, or was.
func (c *swapConn) Inject(p []divertdrv.Packet) (int, error) {
	c.mu.Lock()
	l, spec, closed := c.now, c.spec, c.closed
	if l == nil && len(c.past) > 0 && !c.past[len(c.past)-1].dead {
		l = c.past[len(c.past)-1]
	}
	c.mu.Unlock()
	switch {
	case closed:
		return 0, divertdrv.ErrClosed
	case l == nil:
		return 0, divertdrv.ErrShutdown
	case spec != nil && spec.Flags&divertdrv.RecvOnly != 0:
		return 0, divertdrv.ErrUnsupported
	}
	return l.conn.Inject(p)
}
