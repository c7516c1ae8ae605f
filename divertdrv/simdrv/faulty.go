package simdrv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// ErrDied is what every operation of a FaultyDriver returns after its death; it is an ErrNoDriver.
var ErrDied error = fault{fmt.Errorf("%w any more: it died, by a seeded fault", divertdrv.ErrNoDriver)}

var errRefused error = fault{errors.New("refused by a seeded fault")}

// fault is an error that counts as the cause Fault.
type fault struct{ error }

func (f fault) Unwrap() error          { return f.error }
func (f fault) Cause() divertdrv.Cause { return reason.Fault }

// DriverFaults says what a driver does wrong.
type DriverFaults struct {
	Seed     uint64
	Refuse   float64 // chance, 0 to 1, that a packet is not put back, nor let in; it counts as dropped by Fault, or as failed
	DieAfter int     // operations (Recv, Complete, Release, Inject) of all handles until the driver dies. 0: never
}

// FaultyDriver is a driver that fails by chance, repeatably if its handles are used in the same order. It is for tests of
// those who use drivers, and wraps any.
type FaultyDriver struct {
	inner divertdrv.Driver

	mu     sync.Mutex // guards all below
	faults DriverFaults
	rng    *rand.Rand
	dead   bool
	conns  []*faultyConn // those that are open, oldest first
}

// WithFaults wraps a driver.
func WithFaults(d divertdrv.Driver, f DriverFaults) *FaultyDriver {
	return &FaultyDriver{inner: d, faults: f, rng: rand.New(rand.NewPCG(f.Seed, 0x64726976))}
}

// Name is that of the driver inside.
func (d *FaultyDriver) Name() string { return d.inner.Name() }

// Open opens a handle of the driver inside; it is called by divertdrv.Open.
func (d *FaultyDriver) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrDied
	}
	inner, err := d.inner.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	c := &faultyConn{Conn: inner, driver: d}
	d.conns = append(d.conns, c)
	return c, nil
}

// Die ends the driver as a crash does: traffic flows on by itself, what was queued goes on its way, what was read is lost, and
// every operation from then on is ErrDied. Repeating it is harmless.
func (d *FaultyDriver) Die() {
	d.mu.Lock()
	d.dead = true
	conns := d.conns
	d.conns = nil
	d.mu.Unlock()
	for _, c := range conns { // in order: what was queued goes on the same way in each run
		_ = c.Conn.Close() // which also wakes who waits in Recv
	}
}

// step counts an operation; ErrDied if it is one too many.
func (d *FaultyDriver) step() error {
	if d.counted() {
		d.Die()
		return ErrDied
	}
	return nil
}

// counted takes one operation off those that are left; true: there is none.
func (d *FaultyDriver) counted() (dead bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dead && d.faults.DieAfter > 0 {
		d.faults.DieAfter--
		d.dead = d.faults.DieAfter == 0
	}
	return d.dead
}

func (d *FaultyDriver) refuses() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64() < d.faults.Refuse
}

// faultyConn is a handle of a FaultyDriver.
type faultyConn struct {
	divertdrv.Conn
	driver *FaultyDriver
}

// Clock is the inner driver's.
func (c *faultyConn) Clock() clock.Clock {
	if inner, ok := c.Conn.(interface{ Clock() clock.Clock }); ok {
		return inner.Clock()
	}
	return clock.System
}

func (c *faultyConn) Recv(b *divertdrv.Batch) error {
	if err := c.driver.step(); err != nil {
		return err
	}
	return c.driver.explain(c.Conn.Recv(b))
}

func (d *FaultyDriver) alive() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return ErrDied
	}
	return nil
}

// explain says why a handle was closed that nobody closed.
func (d *FaultyDriver) explain(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead && errors.Is(err, divertdrv.ErrClosed) {
		return ErrDied
	}
	return err
}

func (c *faultyConn) Complete(b *divertdrv.Batch) error {
	died := c.driver.step()
	for i := range b.Packets() {
		if m, _ := b.Outcome(i); m == divertdrv.Pass && (died != nil || c.driver.refuses()) {
			b.Fail(i, reason.Fault)
		}
	}
	if err := c.Conn.Complete(b); died == nil {
		return c.driver.explain(err)
	}
	return died
}

func (c *faultyConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	err := c.driver.step()
	if err == nil && m == divertdrv.Pass && c.driver.refuses() {
		err = errRefused
	}
	if err != nil {
		_ = c.Conn.Release(token, divertdrv.Drop, p) // it must know that the packet is gone
		return err
	}
	return c.driver.explain(c.Conn.Release(token, m, p))
}

func (c *faultyConn) Inject(p []divertdrv.Packet) (n int, err error) {
	if err := c.driver.step(); err != nil {
		return 0, err
	}
	for n := range p {
		if c.driver.refuses() {
			return n, errRefused
		}
		if _, err := c.Conn.Inject(p[n : n+1]); err != nil {
			return n, c.driver.explain(err)
		}
	}
	return len(p), nil
}

func (c *faultyConn) Param(p divertdrv.Param) (uint64, error) {
	v, err := c.Conn.Param(p)
	return v, c.driver.explain(err)
}

func (c *faultyConn) SetParam(p divertdrv.Param, v uint64) error {
	return c.driver.explain(c.Conn.SetParam(p, v))
}

func (c *faultyConn) Shutdown(how divertdrv.Shutdown) error {
	if err := c.driver.alive(); err != nil {
		return err
	}
	return c.Conn.Shutdown(how)
}

func (c *faultyConn) Close() error {
	c.driver.mu.Lock()
	c.driver.conns = slices.DeleteFunc(c.driver.conns, func(o *faultyConn) bool { return o == c })
	c.driver.mu.Unlock()
	return c.Conn.Close()
}
