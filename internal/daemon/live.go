package daemon

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// live is the backend over a driver of the host's own traffic.
type live struct {
	divertdrv.Driver
	out      *output // nil: none
	received atomic.Int64
}

func openLive(d *Driver, fail func(error)) (*live, error) {
	v := &live{Driver: platformDriver(d)}
	if d.Out == "" {
		return v, nil
	}
	var err error
	v.out, err = createOutput(d.Out, fail)
	return v, err
}

// Open opens a handle, and says what to do where the system refuses it.
func (v *live) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := v.Driver.Open(f, l, o)
	if errors.Is(err, divertdrv.ErrAccess) {
		err = fmt.Errorf("%w; run as root, or see what lacks with: weir doctor", err)
	}
	if err != nil {
		return nil, err
	}
	return &liveConn{Conn: c, live: v, copies: o.Flags&divertdrv.Sniff != 0}, nil
}

// liveConn counts what comes, and writes what leaves.
type liveConn struct {
	divertdrv.Conn
	live   *live
	copies bool // what is received goes nowhere
}

// Unwrap is the driver's own.
func (c *liveConn) Unwrap() divertdrv.Conn { return c.Conn }

func (c *liveConn) Recv(b *divertdrv.Batch) error {
	err := c.Conn.Recv(b)
	if err == nil {
		c.live.received.Add(int64(b.Len()))
	}
	return err
}

func (c *liveConn) Complete(b *divertdrv.Batch) error {
	err := c.Conn.Complete(b)
	if c.live.out == nil || c.copies {
		return err
	}
	for i := range b.Packets() {
		if m, _ := b.Outcome(i); m == divertdrv.Pass && !b.IsHeld(i) {
			c.live.write(&b.Packets()[i])
		}
	}
	return err
}

func (c *liveConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	err := c.Conn.Release(token, m, p)
	if c.live.out != nil && !c.copies && err == nil && m == divertdrv.Pass {
		c.live.write(p)
	}
	return err
}

func (c *liveConn) Inject(p []divertdrv.Packet) (n int, err error) {
	n, err = c.Conn.Inject(p)
	if c.live.out != nil {
		for i := range p[:n] {
			c.live.write(&p[i])
		}
	}
	return n, err
}

func (v *live) write(p *divertdrv.Packet) { v.out.write(p.Addr, p.Data, len(p.Data)) }

func (v *live) progress() Progress      { return Progress{Done: v.received.Load()} }
func (v *live) interrupt()              {}
func (v *live) forgive(err error) error { return err }
func (v *live) capture() *pcapdrv.Stats { return nil }
func (v *live) close() error            { return v.out.close() }
