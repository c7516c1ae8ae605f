package stack

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// Complete lets the packets of b that pass walk on below c, in their order. Those that cannot fail with a cause each.
func (c *conn) Complete(b *divertdrv.Batch) error {
	s := c.stack
	s.lock()
	defer s.unlock()
	packets := b.Packets()
	for i := range packets {
		if b.IsHeld(i) {
			continue // Release has the word
		}
		c.out--
		if m, _ := b.Outcome(i); m != divertdrv.Pass {
			continue
		}
		if err := c.putBack(token(b.Token(i)), packets[i].Addr, packets[i].Data); err != nil {
			b.Fail(i, divertdrv.CauseOf(err))
		}
	}
	if c.closed {
		return divertdrv.ErrClosed
	}
	return nil
}

// Release is Complete for one packet that was held.
func (c *conn) Release(t uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	s := c.stack
	s.lock()
	defer s.unlock()
	c.out--
	if m != divertdrv.Pass {
		return nil
	}
	return c.putBack(token(t), p.Addr, p.Data)
}

// putBack lets a packet walk on below c. A copy (Sniff) has nowhere to go, whatever is said of it: the packet itself went on.
// An event that was blocked stays blocked.
func (c *conn) putBack(t token, a *divertdrv.Address, data []byte) error {
	switch {
	case c.closed:
		return divertdrv.ErrClosed
	case t&tokenCopy != 0:
		return nil
	case c.recvOnly:
		return divertdrv.ErrUnsupported
	case c.sendShut:
		return divertdrv.ErrShutdown
	case t&tokenCut != 0:
		return divertdrv.ErrMalformed
	}
	a.SetLayer(c.layer, addr.EventPacket)
	if len(data) > 0 {
		a.SetIPv6(data[0]>>4 == 6) // WinDivert goes by the packet too: it may have been changed
	}
	return c.stack.walk(c.layer, c.rank, a, data, t)
}
