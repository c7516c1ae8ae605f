package simulation

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// errFault is the model's word for what a seeded fault refuses.
var errFault = errors.New("refused by a fault of the driver")

// outcome says how the contract books a packet that was to pass.
func outcome(err error) (divertdrv.Mark, divertdrv.Cause) {
	switch {
	case err == nil:
		return divertdrv.Pass, 0
	case errors.Is(err, errFault):
		return divertdrv.Drop, reason.Fault
	case errors.Is(err, divertdrv.ErrClosed):
		return divertdrv.Drop, reason.Abandoned
	case errors.Is(err, divertdrv.ErrShutdown):
		return divertdrv.Drop, reason.Shutdown
	case errors.Is(err, divertdrv.ErrMalformed):
		return divertdrv.Drop, reason.Malformed
	case errors.Is(err, divertdrv.ErrTooBig):
		return divertdrv.Drop, reason.TooBig
	case errors.Is(err, divertdrv.ErrHopLimit):
		return divertdrv.Drop, reason.HopLimit
	}
	return divertdrv.Drop, reason.SendFailed
}

// isFault says whether err comes of a seeded fault.
func isFault(err error) bool {
	var f interface{ Cause() divertdrv.Cause }
	return errors.As(err, &f) && f.Cause() == reason.Fault
}

// tap wraps a driver from the outside and notes what its faults did: what the model cannot foretell.
type tap struct {
	divertdrv.Driver

	refused []bool // of the packets of the last Complete: by a fault
	err     error  // of the last Release
}

// Open wraps the handle.
func (t *tap) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := t.Driver.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	return &tapConn{wrapped{c}, t}, nil
}

// wrapped is a handle inside of another, with the same clock.
type wrapped struct{ divertdrv.Conn }

// Clock is that of the handle inside.
func (w wrapped) Clock() clock.Clock {
	if c, ok := w.Conn.(interface{ Clock() clock.Clock }); ok {
		return c.Clock()
	}
	return clock.System
}

type tapConn struct {
	wrapped
	tap *tap
}

func (c *tapConn) Complete(b *divertdrv.Batch) error {
	n := b.Len()
	c.tap.refused = make([]bool, n)
	passes := make([]bool, n)
	for i := range n {
		m, _ := b.Outcome(i)
		passes[i] = m == divertdrv.Pass
	}
	err := c.Conn.Complete(b)
	for i := range n {
		_, why := b.Outcome(i)
		c.tap.refused[i] = passes[i] && why == reason.Fault
	}
	return err
}

func (c *tapConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	c.tap.err = c.Conn.Release(token, m, p)
	return c.tap.err
}

// probe wraps a driver from the inside and keeps the handle that was opened last, to ask it whether a Recv would wait.
type probe struct {
	divertdrv.Driver

	last divertdrv.Conn
}

// Open keeps the handle.
func (p *probe) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (c divertdrv.Conn, err error) {
	c, err = p.Driver.Open(f, l, o)
	p.last = c
	return c, err
}
