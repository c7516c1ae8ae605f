package simulation

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/clock"
)

// A gate makes readers that have goroutines of their own run one at a time, and in an order that the seed chooses: each Recv stops
// at it until the scheduler lets it through, which then waits until that reader stands at its gate again. What the reader defers it
// waits for itself (processor.Config.Settle).
type gate struct {
	divertdrv.Driver

	probe *probe
	conns []*gateConn // in the order of opening
}

// Open puts a handle behind a gate.
func (g *gate) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := g.Driver.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	x := &gateConn{wrapped: wrapped{c}, stands: make(chan bool), open: make(chan struct{})}
	x.ready = g.probe.last.(interface{ Ready() bool }).Ready
	g.conns = append(g.conns, x)
	return x, nil
}

type gateConn struct {
	wrapped
	ready  func() bool   // a Recv would not wait
	stands chan bool     // the reader is at the gate: true; or has read the end: false
	open   chan struct{} // it may go through
	ended  bool          // for the scheduler
	failed bool          // a Complete: the reader ends without another Recv
}

// Recv waits at the gate. An end is told before it is returned: who read it has nothing more to do that could be seen.
func (c *gateConn) Recv(b *divertdrv.Batch) error {
	c.stands <- true
	<-c.open
	err := c.Conn.Recv(b)
	if err != nil {
		c.stands <- false
	}
	return err
}

// Complete notes that the driver died in it. The reader still hands over what it deferred, and then shuts all handles down.
func (c *gateConn) Complete(b *divertdrv.Batch) error {
	err := c.Conn.Complete(b)
	c.failed = err != nil
	return err
}

// Shutdown of a handle whose reader failed is the last that this reader does.
func (c *gateConn) Shutdown(how divertdrv.Shutdown) error {
	if c.failed {
		c.failed = false
		c.stands <- false
	}
	return c.Conn.Shutdown(how)
}

// pass lets the reader through and waits until it stands at the gate again, or has read the end.
func (c *gateConn) pass() {
	c.open <- struct{}{}
	c.ended = !<-c.stands
}

// settling is a clock that lets what each call caused come to its end before the next call.
type settling struct {
	*clock.Virtual
	settle func()
}

// AfterFunc settles behind f.
func (s settling) AfterFunc(d time.Duration, f func()) clock.Timer {
	return s.Virtual.AfterFunc(d, func() {
		f()
		s.settle()
	})
}
