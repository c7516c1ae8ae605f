// Package tunneldrv is a divert driver in one short file: for a program that is itself a network, such as a VPN in user space.
// What the program would send into its tunnel it gives to Send, what came out of the tunnel to Receive; handles decide, and what
// passes leaves by ToTunnel or ToHost. It keeps the contract of docs/drivers.md, which its test proves, and leaves out what a
// driver may: flags, layers but NETWORK, injection, and the limits of a queue but its length.
package tunneldrv

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// Driver is one tunnel. ToTunnel and ToHost get what leaves, in order and one at a time; it is
// valid during the call. They must not call the driver back.
type Driver struct {
	ToTunnel, ToHost func(packet []byte)

	mu     sync.Mutex // guards all below, and the handles
	conns  []*conn    // those that are open, the highest rank first
	opened int64
}

// conn is an open handle.
type conn struct {
	d      *Driver
	filter *divertdrv.Filter
	rank   int64     // by priority, then newest first; what it passes visits lower ones only
	wake   sync.Cond // of a Recv that waits
	queue  []*divertdrv.Packet

	limit, lost uint64
	shut        divertdrv.Shutdown
	closed      bool
}

// cut is the token of a packet that is larger than its batch.
const cut = 1

// Name is what errors call the driver.
func (d *Driver) Name() string { return "tunnel" }

// Open refuses what is not done here, rather than do it differently.
func (d *Driver) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if l != divertdrv.Network || o.Flags != 0 || o.Readers > 1 || o.Overload != divertdrv.OverloadShedOldest {
		return nil, fmt.Errorf("%w: a tunnel has plain handles with one reader at layer network", divertdrv.ErrUnsupported)
	}
	defer d.lock()()
	d.opened++
	c := &conn{d: d, filter: f, rank: int64(o.Priority)<<40 + d.opened}
	c.wake.L = &d.mu
	_, _, c.limit, _ = addr.QueueLength.Range()
	below := func(o *conn) bool { return o.rank < c.rank }
	if i := slices.IndexFunc(d.conns, below); i >= 0 {
		d.conns = slices.Insert(d.conns, i, c)
	} else {
		d.conns = append(d.conns, c)
	}
	return c, nil
}

func (d *Driver) lock() (unlock func()) {
	d.mu.Lock()
	return d.mu.Unlock
}

// Send leads a packet of the program past the handles.
func (d *Driver) Send(data []byte) { d.enter(data, true) }

// Receive leads one that came out of the tunnel past them.
func (d *Driver) Receive(data []byte) { d.enter(data, false) }

func (d *Driver) enter(data []byte, outbound bool) {
	a := divertdrv.Address{Timestamp: time.Now().UnixNano()}
	a.SetOutbound(outbound)
	a.SetIPv6(data[0]>>4 == 6)
	a.SetChecksums(true)
	defer d.lock()()
	d.walk(1<<62, &a, data)
}

// walk gives a copy of a packet to the first handle below a rank that takes it, or lets it leave.
func (d *Driver) walk(below int64, a *divertdrv.Address, data []byte) {
	for _, c := range d.conns {
		if c.rank < below && c.shut&divertdrv.ShutdownRecv == 0 && c.filter.Match(a, data, nil) {
			for uint64(len(c.queue)) >= c.limit { // the oldest is lost, as in WinDivert
				c.queue, c.lost = c.queue[1:], c.lost+1
			}
			c.queue = append(c.queue, divertdrv.NewPacket(*a, bytes.Clone(data)))
			c.wake.Signal()
			return
		}
	}
	if a.Outbound() {
		d.ToTunnel(data)
	} else {
		d.ToHost(data)
	}
}

func (c *conn) Recv(b *divertdrv.Batch) error {
	defer c.d.lock()()
	for len(c.queue) == 0 && c.shut&divertdrv.ShutdownRecv == 0 {
		c.wake.Wait()
	}
	switch {
	case c.closed:
		return divertdrv.ErrClosed
	case len(c.queue) == 0:
		return divertdrv.ErrShutdown
	}
	if first := c.queue[0]; len(first.Data) > len(b.Free()) { // its start is shown
		b.Append(first.Addr, first.Data[:len(b.Free())], cut)
		c.queue = c.queue[1:]
	}
	for len(c.queue) > 0 && b.Append(c.queue[0].Addr, c.queue[0].Data, 0) {
		c.queue = c.queue[1:]
	}
	return nil
}

func (c *conn) Complete(b *divertdrv.Batch) error {
	defer c.d.lock()()
	for i := range b.Packets() {
		if m, _ := b.Outcome(i); m == divertdrv.Pass {
			if err := c.pass(b.Token(i), &b.Packets()[i]); err != nil {
				b.Fail(i, divertdrv.CauseOf(err))
			}
		}
	}
	return nil
}

// Release is Complete for a packet that was held. The handle has kept it, and its deadline.
func (c *conn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	defer c.d.lock()()
	if m != divertdrv.Pass {
		return nil
	}
	return c.pass(token, p)
}

func (c *conn) pass(token uint64, p *divertdrv.Packet) error {
	switch {
	case c.closed:
		return divertdrv.ErrClosed
	case c.shut&divertdrv.ShutdownSend != 0:
		return divertdrv.ErrShutdown
	case token == cut:
		return divertdrv.ErrMalformed
	}
	c.d.walk(c.rank, p.Addr, p.Data)
	return nil
}

func (c *conn) Inject([]divertdrv.Packet) (int, error) { return 0, divertdrv.ErrUnsupported }

func (c *conn) Param(p divertdrv.Param) (uint64, error) {
	defer c.d.lock()()
	return c.limit, c.has(p)
}

// SetParam is given what is in the parameter's range.
func (c *conn) SetParam(p divertdrv.Param, v uint64) error {
	defer c.d.lock()()
	err := c.has(p)
	if err == nil {
		c.limit = v
	}
	return err
}

func (c *conn) has(p divertdrv.Param) error {
	switch {
	case c.closed:
		return divertdrv.ErrClosed
	case p != addr.QueueLength:
		return divertdrv.ErrUnsupported
	}
	return nil
}

func (c *conn) Shutdown(how divertdrv.Shutdown) error {
	defer c.d.lock()()
	c.shut |= how
	c.wake.Broadcast()
	return nil
}

// Close leads on what was not read. Held packets were released before.
func (c *conn) Close() error {
	defer c.d.lock()()
	c.shut, c.closed = divertdrv.ShutdownBoth, true
	c.d.conns = slices.DeleteFunc(c.d.conns, func(o *conn) bool { return o == c })
	for _, p := range c.queue {
		c.d.walk(c.rank, p.Addr, p.Data)
	}
	c.queue = nil
	c.wake.Broadcast()
	return nil
}

func (c *conn) Caps() divertdrv.Caps {
	return divertdrv.Caps{Modify: true, Grow: true, LossCounted: true, HoldMax: 256}
}

func (c *conn) Stats() (s divertdrv.Stats) {
	defer c.d.lock()()
	s.Lost, s.LostBy[reason.QueueLength] = c.lost, c.lost
	return s
}
