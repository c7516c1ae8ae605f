package mutants

import (
	"bytes"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// large is the memory of the batch that the suite has to see whether Recv waits for more.
const large = 1 << 16

// exchange swaps what two packets of a batch hold.
func exchange(b *divertdrv.Batch, i, j int) {
	p := b.Packets()
	*p[i].Addr, *p[j].Addr = *p[j].Addr, *p[i].Addr
	p[i].Data, p[j].Data = p[j].Data, p[i].Data
}

var batchMutants = []mutant{
	{name: "large batches are out of order", breaks: []string{"batch/sizes", "priority/order-through-several"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		if b.Len() > 4 && c.layer == divertdrv.Network {
			exchange(b, 3, 4)
		}
		return err
	}}},
	{name: "a batch wastes its last place", breaks: []string{"batch/sizes"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		if b.Len() == divertdrv.BatchMax {
			b.Packets()[b.Len()-1].Data = nil
		}
		return err
	}}},
	{name: "a batch that is full of bytes loses its last packet", breaks: []string{"batch/what-does-not-fit-stays-queued"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		if more, room := b.Room(); more && room < 300 && b.Len() > 1 {
			last := &b.Packets()[b.Len()-1]
			last.Data = last.Data[:100]
		}
		return err
	}}},
	{name: "Recv waits until a large batch is full", breaks: []string{"batch/does-not-wait-to-be-full"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		_, room := b.Room()
		err := c.Conn.Recv(b)
		for more, _ := b.Room(); more && err == nil && room == large; more, _ = b.Room() {
			if _, err := c.Conn.Param(addr.QueueLength); err != nil {
				return err // closed
			}
			time.Sleep(time.Millisecond)
		}
		return err
	}}},
	{name: "what wakes a Recv comes garbled", breaks: []string{"batch/waits-for-the-first"}, twist: twist{
		start: func(d *twisted) { d.w.Network = &noisy{Network: d.w.Network, d: d} },
		recv: func(c *twistedConn, b *divertdrv.Batch) error {
			err := c.Conn.Recv(b)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.woken && err == nil {
				pk := &b.Packets()[0]
				pk.Data[len(pk.Data)-1] ^= 0xff
			}
			c.woken = false
			return err
		},
	}},
	{name: "Complete waits for a Recv that waits", breaks: []string{"race/a-recv-that-waits-keeps-nobody-waiting"}, twist: twist{
		complete: func(c *twistedConn, b *divertdrv.Batch) error {
			for _, err := c.Conn.Param(addr.QueueLength); c.waiting.Load() && err == nil; _, err = c.Conn.Param(addr.QueueLength) {
				time.Sleep(time.Millisecond)
			}
			return c.Conn.Complete(b)
		},
	}},
	{name: "a cut packet passes as it is", breaks: []string{"batch/a-packet-larger-than-the-batch-is-cut"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			pk := &b.Packets()[i]
			var h wire.Headers
			if wire.Parse(pk.Data, &h) && h.Truncated && c.packets() {
				short := bytes.Clone(pk.Data)
				short[2], short[3] = byte(len(short)>>8), byte(len(short))
				sendBy(c.d.bottom, pk.Addr, short)
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "a packet can be appended to in place", breaks: []string{"batch/memory-is-the-batch's"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		for i := range b.Packets() {
			pk := &b.Packets()[i]
			pk.Data = append(pk.Data, 0)[:len(pk.Data)]
		}
		return err
	}}},
	{name: "all packets have the first one's mark", breaks: []string{"complete/marks-by-packet", "priority/a-drop-ends-it"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		if first, why := b.Outcome(0); first == divertdrv.Drop && c.packets() && !b.IsHeld(0) {
			for i := range b.Packets() {
				b.Fail(i, why)
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "what is not marked passes", breaks: []string{"complete/unmarked-is-dropped"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if m, why := b.Outcome(i); m == divertdrv.Drop && why == reason.Unmarked && c.packets() && !b.IsHeld(i) {
				sendBy(c.d.bottom, b.Packets()[i].Addr, b.Packets()[i].Data)
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "batches are completed in the order received", breaks: []string{"complete/several-batches-in-any-order"}, twist: twist{
		recv: func(c *twistedConn, b *divertdrv.Batch) error {
			err := c.Conn.Recv(b)
			if err == nil {
				c.mu.Lock()
				c.out = append(c.out, b)
				c.mu.Unlock()
			}
			return err
		},
		complete: func(c *twistedConn, b *divertdrv.Batch) error {
			c.mu.Lock()
			late := len(c.out) > 0 && c.out[0] != b
			for i, o := range c.out {
				if o == b {
					c.out = append(c.out[:i], c.out[i+1:]...)
					break
				}
			}
			c.mu.Unlock()
			if late && c.packets() {
				for i := range b.Packets() {
					b.Fail(i, reason.SendFailed)
				}
			}
			return c.Conn.Complete(b)
		},
	}},
	{name: "Recv ends once", breaks: []string{"shutdown/recv-reads-what-is-queued"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		if err == divertdrv.ErrShutdown {
			if c.rounds++; c.rounds > 1 {
				return divertdrv.ErrClosed
			}
		}
		return err
	}}},
}

// noisy is a Network that tells the mutant of what is sent.
type noisy struct {
	drvtest.Network
	d *twisted
}

func (n *noisy) Send(w drvtest.Way, data []byte) error {
	n.d.mu.Lock()
	conns := n.d.conns
	n.d.mu.Unlock()
	for _, c := range conns {
		if c.waiting.Load() && c.layer == divertdrv.Network {
			c.mu.Lock()
			c.woken = true
			c.mu.Unlock()
		}
	}
	return n.Network.Send(w, data)
}
