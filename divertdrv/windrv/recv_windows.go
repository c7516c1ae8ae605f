package windrv

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// tokenCut is the token of a packet whose end did not fit into the batch; tokenWhole of all others.
const (
	tokenWhole = iota
	tokenCut
)

// Recv fills the batch: it waits for the oldest read, and takes what younger ones have brought as far as there is room.
func (c *conn) Recv(b *divertdrv.Batch) error {
	if c.flags&divertdrv.SendOnly != 0 {
		return fmt.Errorf("%w: Recv of a handle that only sends", divertdrv.ErrUnsupported)
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	for b.Len() == 0 {
		if err := c.startReads(b); err != nil {
			return err
		}
		if err := c.await(b); err != nil {
			return err
		}
	}
	for more, _ := b.Room(); more && len(c.flight) > 0 && c.flight[0].finish(c.handle.Handle, false) && c.flight[0].err == nil; more, _ = b.Room() {
		if c.take(c.flight[0], b); c.flight[0].unread() {
			break
		}
		c.retire()
	}
	return nil
}

// await waits for the oldest read and takes what it brought.
func (c *conn) await(b *divertdrv.Batch) error {
	o := c.flight[0]
	waited := !o.finish(c.handle.Handle, false)
	o.finish(c.handle.Handle, true)
	if o.err == nil {
		if o.next == 0 {
			c.arrived(o, waited)
		}
		c.take(o, b)
		if !o.unread() {
			c.retire()
		}
		return nil
	}
	err := o.err
	c.retire()
	switch {
	case c.isClosing():
		return divertdrv.ErrClosed
	case errors.Is(err, errAborted):
		return nil // Windows takes back what a thread started that has ended; the next read is as good
	case errors.Is(err, errBuffer):
		c.lost.Add(1) // the driver has thrown the rest of it away
		return nil
	}
	return err
}

// startReads has as many reads under way as there should be, each with room for what the batch has room for.
func (c *conn) startReads(b *divertdrv.Batch) error {
	c.starting.Lock()
	defer c.starting.Unlock()
	if c.closing {
		return divertdrv.ErrClosed
	}
	packets, size := c.room(b)
	for len(c.flight) < c.depth {
		if len(c.idle) == 0 {
			o, err := newOperation()
			if err != nil {
				return err
			}
			c.idle = append(c.idle, o)
		}
		o := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		c.flight = append(c.flight, o)
		o.read(c.handle.Handle, packets, size)
	}
	return nil
}

// room says how much one read asks for: what fits into the batch, so that the rest stays in the driver's queue. A read has room for
// any packet, since the driver throws away what it cuts.
func (c *conn) room(b *divertdrv.Batch) (packets, size int) {
	packets = min(b.Left(), divertdrv.BatchMax)
	_, free := b.Room()
	size = min(c.want, free-packets*7) // each packet may be moved up to 7 bytes, to be aligned
	if size < divertdrv.MTUMax {
		size = divertdrv.MTUMax
		if c.flags&divertdrv.RecvOnly != 0 {
			packets = 1 // what does not fit could not be given back when the handle is closed
		}
	}
	if c.layer == divertdrv.LayerReflect {
		packets = 1 // objects have no length of their own
	}
	return packets, size
}

// arrived looks how full a read came back, and asks for more or less from now on: a full one means that packets wait in the
// driver, and one that was waited for and brought a single packet that none do.
func (c *conn) arrived(o *operation, waited bool) {
	n := int(o.addrSize) / addr.Size
	switch {
	case n == o.asked && n > 1 || int(o.n) > c.want/2 && n > 1:
		c.want = min(2*c.want, bufferSize)
		if c.flags&divertdrv.RecvOnly == 0 || c.copies() {
			c.depth = min(2*c.depth, c.reads)
		}
	case waited && n <= 1:
		c.want = max(c.want/2, divertdrv.MTUMax)
		c.depth = max(c.depth/2, 1)
	}
}

// retire takes the oldest read out of flight.
func (c *conn) retire() {
	c.starting.Lock()
	defer c.starting.Unlock()
	c.idle = append(c.idle, c.flight[0])
	copy(c.flight, c.flight[1:])
	c.flight = c.flight[:len(c.flight)-1]
}

// take moves packets from a read into the batch until one of them is exhausted.
func (c *conn) take(o *operation, b *divertdrv.Batch) {
	for more, _ := b.Room(); more && o.unread(); more, _ = b.Room() {
		a, data := o.packet(c.layer)
		if c.filter != nil && !c.filter.Match(a, data, nil) {
			c.passBy(a, data)
			o.advance(data)
			continue
		}
		if b.Append(a, data, tokenWhole) {
			o.advance(data)
			continue
		}
		if b.Len() > 0 {
			return
		}
		n := copy(b.Free(), data)
		b.Extend(a, 0, n, n, tokenCut)
		o.advance(data)
	}
}

// unread says whether there are packets that nobody took.
func (o *operation) unread() bool {
	return o.done && o.err == nil && o.next < int(o.addrSize)/addr.Size
}

// packet returns the next one. It is in the operation's memory.
func (o *operation) packet(l divertdrv.Layer) (*divertdrv.Address, []byte) {
	rest := o.buffer[o.offset:o.n]
	switch {
	case l == divertdrv.LayerReflect:
		if end := bytes.IndexByte(rest, 0); end >= 0 {
			rest = rest[:end+1]
		}
	case l > divertdrv.NetworkForward:
		rest = nil
	default:
		rest = rest[:packetLen(rest)]
	}
	return &o.addrs[o.next], rest[:len(rest):len(rest)]
}

func (o *operation) advance(data []byte) {
	o.next++
	o.offset += len(data)
}

// packetLen is the length of the packet at the start of b by its header; the driver puts them one behind the other.
func packetLen(b []byte) int {
	var h wire.Headers
	if !wire.Parse(b, &h) {
		return len(b)
	}
	return int(h.Len)
}

// stopReads takes back all reads, and has no others started.
func (c *conn) stopReads() {
	c.starting.Lock()
	defer c.starting.Unlock()
	c.closing = true
	for _, o := range c.flight {
		o.cancel(c.handle.Handle)
	}
}

func (c *conn) isClosing() bool {
	c.starting.Lock()
	defer c.starting.Unlock()
	return c.closing
}
