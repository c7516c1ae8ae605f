package windrv

import (
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// plainSize is the largest packet that goes with others, in bytes: a larger one, which the stack made for a network card to cut, may
// well be refused.
const plainSize = 1500

// Complete sends what passes. See the package comment for what goes alone.
func (c *conn) Complete(b *divertdrv.Batch) error {
	if c.copies() {
		return nil
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.sender == nil {
		for i := range b.Packets() {
			b.Fail(i, reason.Abandoned)
		}
		return divertdrv.ErrClosed
	}
	r := run{conn: c, batch: b}
	for i := range b.Packets() {
		if mark, _ := b.Outcome(i); mark != divertdrv.Pass {
			continue
		}
		p := &b.Packets()[i]
		switch err := c.mayPass(p.Addr, p.Data, b.Token(i)); {
		case err != nil:
			b.Fail(i, divertdrv.CauseOf(err))
		case b.Changed(i) || p.Addr.Impostor() || len(p.Data) > plainSize:
			r.flush()
			if err := c.sendOne(p.Addr, p.Data); err != nil {
				b.Fail(i, divertdrv.CauseOf(err))
			}
		default:
			r.add(i, p)
		}
	}
	r.flush()
	return nil
}

// mayPass says what the driver would not take. It would stop there, or cut.
func (c *conn) mayPass(a *divertdrv.Address, data []byte, token uint64) error {
	switch {
	case c.flags&divertdrv.RecvOnly != 0:
		return divertdrv.ErrUnsupported
	case token == tokenCut:
		return fmt.Errorf("%w: its end did not fit into the batch", divertdrv.ErrTooBig)
	case len(data) > divertdrv.MTUMax:
		return divertdrv.ErrTooBig
	case !whole(data):
		return divertdrv.ErrMalformed
	}
	return nil
}

// whole says that the packet is as long as its header says.
func whole(data []byte) bool {
	var h wire.Headers
	return wire.Parse(data, &h) && !h.Truncated && int(h.Len) == len(data)
}

// run is unchanged packets that go in one request.
type run struct {
	conn           *conn
	batch          *divertdrv.Batch
	first, last    int // of the batch; packets between them that do not pass are none of its
	packets, bytes int
}

func (r *run) add(i int, p *divertdrv.Packet) {
	if r.packets == r.conn.pace.chunk() || r.bytes+len(p.Data) > bufferSize {
		r.flush()
	}
	if r.packets == 0 {
		r.first = i
	}
	r.conn.sender.put(r.packets, r.bytes, p.Addr, p.Data)
	r.packets++
	r.bytes += len(p.Data)
	r.last = i
}

func (r *run) flush() {
	if r.packets == 0 {
		return
	}
	c := r.conn
	packets := r.packets
	err := c.sender.send(c.handle.Handle, packets, r.bytes)
	r.packets, r.bytes = 0, 0
	c.pace.sent(err == nil)
	if err == nil {
		return
	}
	why := divertdrv.CauseOf(err)
	if packets > 1 && !noneWent(err) {
		why = reason.SendDoubtful
	}
	for i := r.first; i <= r.last; i++ {
		if mark, _ := r.batch.Outcome(i); mark == divertdrv.Pass {
			r.batch.Fail(i, why)
		}
	}
}

// noneWent says of an error that the driver gives before it looks at the first packet of a request.
func noneWent(err error) bool {
	return errors.Is(err, errNoData) || errors.Is(err, errInvalidHandle) || errors.Is(err, errBadCommand) || errors.Is(err, errAborted)
}

// put writes packet i of a request, whose bytes start at offset.
func (o *operation) put(i, offset int, a *divertdrv.Address, data []byte) {
	o.addrs[i] = *a
	copy(o.buffer[offset:], data)
}

// sendOne sends one packet. The caller has sending.
func (c *conn) sendOne(a *divertdrv.Address, data []byte) error {
	if c.sender == nil {
		return divertdrv.ErrClosed
	}
	c.sender.put(0, 0, a, data)
	return c.sendError(c.sender.send(c.handle.Handle, 1, len(data)))
}

// sendError says what an error means for the packet that the sender has sent.
func (c *conn) sendError(err error) error {
	if o := c.sender; errors.Is(err, errHostUnreachable) && o.addrs[0].Impostor() && hopLimit(o.buffer) <= 1 {
		return fmt.Errorf("%w: %w", divertdrv.ErrHopLimit, err)
	}
	return err
}

func hopLimit(packet []byte) byte {
	if packet[0]>>4 == 6 {
		return packet[7]
	}
	return packet[8]
}

// Release sends a packet that was held.
func (c *conn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	if m != divertdrv.Pass || c.copies() {
		return nil
	}
	if err := c.mayPass(p.Addr, p.Data, token); err != nil {
		return err
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.sendOne(p.Addr, p.Data)
}

// Inject sends packet by packet until one fails.
func (c *conn) Inject(p []divertdrv.Packet) (n int, err error) {
	if c.layer > divertdrv.NetworkForward {
		return 0, divertdrv.ErrUnsupported
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	for i := range p {
		if err := c.injectOne(&p[i]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func (c *conn) injectOne(p *divertdrv.Packet) error {
	if err := c.mayPass(p.Addr, p.Data, tokenWhole); err != nil {
		return err
	}
	return c.sendOne(p.Addr, p.Data)
}

// passBy sends on a packet that the driver let through and the filter does not match. What the stack refuses then it would have
// refused anyway.
func (c *conn) passBy(a *divertdrv.Address, data []byte) {
	if c.copies() {
		return
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.sendOne(a, data); err != nil {
		c.lost.Add(1)
	}
}

// sendUnread sends on what a read brought and nobody took, as the driver does with what is in its queue. The caller has sending.
func (c *conn) sendUnread(o *operation) {
	if c.copies() || c.flags&divertdrv.RecvOnly != 0 {
		return
	}
	for o.unread() {
		a, data := o.packet(c.layer)
		_ = c.sendOne(a, data)
		o.advance(data)
	}
}
