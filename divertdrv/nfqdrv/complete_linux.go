package nfqdrv

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/reason"
)

// Complete tells the kernel what becomes of the packets of b, in their order, with one system call where it can. Those that cannot
// go on are dropped there, with a cause each.
func (c *conn) Complete(b *divertdrv.Batch) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if !c.out.closed {
		c.out.shift.look(c)
	}
	packets := b.Packets()
	for i := range packets {
		if b.IsHeld(i) {
			continue // Release has the word
		}
		if c.out.closed {
			b.Fail(i, reason.Abandoned)
			continue
		}
		m, _ := b.Outcome(i)
		if err := c.judge(token(b.Token(i)), m, &packets[i], b.Changed(i)); err != nil {
			b.Fail(i, divertdrv.CauseOf(err))
		}
	}
	if c.out.closed {
		return divertdrv.ErrClosed
	}
	err := c.flush()
	if err != nil {
		for i := range packets {
			b.Fail(i, reason.SendFailed) // which of them the kernel was told before is not known
		}
	}
	return err
}

// Release is Complete for one packet that was held.
func (c *conn) Release(t uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.closed {
		return divertdrv.ErrClosed
	}
	c.out.shift.look(c)
	err := c.judge(token(t), m, p, p.Changed())
	if failed := c.flush(); failed != nil {
		return failed
	}
	return err
}

// flush sends the verdicts that were gathered.
func (c *conn) flush() error {
	if c.queue == nil {
		return nil
	}
	err := c.out.verdict.Flush()
	c.out.shift.told()
	return err
}

// judge says what becomes of one packet; an error says why it cannot go on, and then it is dropped. A copy (Sniff) has nowhere to
// go, whatever is said of it.
func (c *conn) judge(t token, m divertdrv.Mark, p *divertdrv.Packet, changed bool) error {
	if t&tokenCopy != 0 {
		return nil
	}
	if m != divertdrv.Pass {
		return c.verdict(t, false)
	}
	err := c.mayPass(t, changed)
	switch {
	case err != nil:
	case c.turned(t, p):
		return c.around(t, p)
	case !changed:
		c.passing(t, p)
		return c.verdict(t, true)
	default:
		err = c.replace(t, p)
	}
	if err != nil {
		_ = c.verdict(t, false) // the packet is lost either way
	}
	return err
}

func (c *conn) mayPass(t token, changed bool) error {
	switch {
	case c.recvOnly:
		return divertdrv.ErrUnsupported
	case c.sendShut.Load():
		return divertdrv.ErrShutdown
	case changed && t&tokenCut != 0:
		return divertdrv.ErrMalformed // the rest of it was never seen
	}
	return nil
}

// verdict tells of a packet and of the fragments that it was made of.
func (c *conn) verdict(t token, passes bool) error {
	for _, id := range c.out.pieces[t.id()] {
		if err := c.out.verdict.Verdict(id, passes); err != nil {
			return err
		}
	}
	if t&tokenJoined != 0 {
		delete(c.out.pieces, t.id())
	}
	return c.out.verdict.Verdict(t.id(), passes)
}

// turned says that the packet is to go another way than the one that it was taken from: its Address was changed.
func (c *conn) turned(t token, p *divertdrv.Packet) bool {
	if c.layer != addr.Network {
		return false
	}
	return p.Addr.Outbound() != (t&tokenOutbound != 0) || len(p.Data) > 0 && (p.Data[0]>>4 == 6) != (t&tokenIPv6 != 0)
}

// replace lets a changed packet go on in place of what waits in the kernel.
func (c *conn) replace(t token, p *divertdrv.Packet) error {
	h := p.Headers()
	switch {
	case len(p.Data) > queue.MaxPayload:
		return divertdrv.ErrTooBig
	case h.Version == 0 || int(h.Total) != len(p.Data):
		return divertdrv.ErrMalformed
	}
	mtu := c.out.mtus.of(p.Addr.IfIdx())
	if t&tokenSegmentable != 0 && len(p.Data) <= mtu {
		return c.around(t, p) // as a super-packet the device would refuse it: it is not longer than one segment
	}
	if t&tokenSegmentable == 0 && overgrown(t, p, h, mtu) {
		return divertdrv.ErrTooBig
	}
	for _, id := range c.out.pieces[t.id()] { // the last fragment carries the whole
		if err := c.out.verdict.Drop(id); err != nil {
			return err
		}
	}
	delete(c.out.pieces, t.id())
	c.passing(t, p)
	return c.out.verdict.Replace(t.id(), p.Data)
}

// overgrown says that an outbound packet became too long for its interface, and that the kernel would drop it in silence: it cuts
// neither what says DF nor IPv6 that its sender did not want cut.
func overgrown(t token, p *divertdrv.Packet, h *divertdrv.Headers, mtu int) bool {
	if !p.Addr.Outbound() || len(p.Data) <= mtu || t.length() > mtu {
		return false
	}
	return h.Version == 6 || h.IPv4(p.Data).DF()
}

// around drops a packet in the kernel and injects it instead, behind the verdicts before it.
func (c *conn) around(t token, p *divertdrv.Packet) error {
	if err := c.verdict(t, false); err != nil {
		return err
	}
	if err := c.out.verdict.Flush(); err != nil {
		return err
	}
	c.out.one[0] = *p
	_, err := c.injector.Inject(c.out.one[:])
	c.out.one[0] = divertdrv.Packet{}
	return err
}

// takePieces takes the other fragments of a joined packet; their fate is the caller's then.
func (o *out) takePieces(t token) []uint32 {
	if t&tokenJoined == 0 {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := o.pieces[t.id()]
	delete(o.pieces, t.id())
	return ids
}
