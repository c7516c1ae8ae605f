package daemon

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/processor/policy"
)

// A handle of the processor stays open as long as the daemon runs. What is under it may be replaced: by another filter or priority
// when the policy is reloaded, by nothing while the daemon is paused, and by the same again when the driver died. So the books go
// on, flows are remembered, and no packet is lost:
//
//	1 what replaces a lower handle is opened, and is asked before it: equal priorities, newest first
//	2 the lower one is shut down, and read to its end; what the new one gets meanwhile waits in its queue
//	3 the new one is read; the lower one is closed when packets of it that are held have gone
//
// A handle that has nothing under it is idle: it waits to be given something.

// swapper opens what is under the handles.
type swapper struct {
	reopens bool                       // a driver that dies is opened again, else its error ends the run
	died    func(c *swapConn, e error) // told of each death, from any goroutine; must not block

	conns []*swapConn    // fixed before packets are read
	caps  divertdrv.Caps // of idle handles: those of the first that was opened
	clock clock.Clock

	ops        sync.Mutex // held during each change; guards all below
	driver     divertdrv.Driver
	failClosed bool // of driver
	paused     bool
	closed     bool

	closing sync.WaitGroup // of lower handles that are being closed
}

// add makes the conn of another handle, and opens spec under it; nil: it is idle.
func (s *swapper) add(layer divertdrv.Layer, spec *policy.Handle) (*swapConn, error) {
	c := &swapConn{s: s, id: len(s.conns), layer: layer, caps: s.caps}
	c.changed.L = &c.mu
	if spec != nil {
		l, err := s.open(spec)
		if err != nil {
			return nil, err
		}
		c.spec, c.now, c.caps = spec, l, l.conn.Caps()
		if s.clock == nil {
			s.caps, s.clock = c.caps, clockOf(l.conn)
		}
	}
	s.conns = append(s.conns, c)
	return c, nil
}

// open opens a lower handle. It needs s.ops.
func (s *swapper) open(spec *policy.Handle) (*lower, error) {
	conn, err := s.driver.Open(spec.Filter, spec.Filter.Layer(), &divertdrv.Options{
		Driver: s.driver, Priority: spec.Priority, Flags: spec.Flags, Readers: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("handle %v at %v: %w", spec.Filter, spec.Filter.Layer(), err)
	}
	return &lower{conn: conn, failClosed: s.failClosed}, nil
}

// offers finds what a conn, or one that it wraps, offers beside the seam.
func offers[T any](c divertdrv.Conn) (offer T, ok bool) {
	for {
		if offer, ok = c.(T); ok {
			return offer, true
		}
		w, wraps := c.(interface{ inner() divertdrv.Conn })
		if !wraps {
			return offer, false
		}
		c = w.inner()
	}
}

func clockOf(c divertdrv.Conn) clock.Clock {
	if own, ok := offers[interface{ Clock() clock.Clock }](c); ok {
		return own.Clock()
	}
	return clock.System
}

// specs are the handles that are open, by the number of their conn; nil where one is idle.
func (s *swapper) specs() []*policy.Handle {
	all := make([]*policy.Handle, len(s.conns))
	for i, c := range s.conns {
		all[i] = c.wants()
	}
	return all
}

// ended is told that the driver has no more packets for a handle. When it has none for any, those that are idle end too.
func (s *swapper) ended() {
	for _, c := range s.conns {
		if c.working() {
			return
		}
	}
	for _, c := range s.conns {
		c.end()
	}
}

// up says whether every handle that should be open is.
func (s *swapper) up() bool {
	for _, c := range s.conns {
		if c.wants() != nil && !c.working() {
			return false
		}
	}
	return true
}

// pause lets packets pass by: lower handles are shut down, read to their end, and closed.
func (s *swapper) pause() error {
	s.ops.Lock()
	defer s.ops.Unlock()
	if s.paused || s.closed {
		return nil
	}
	s.paused = true
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.replace(nil))
	}
	return errors.Join(errs...)
}

// resume opens again what pause closed. An error leaves it paused.
func (s *swapper) resume() error {
	s.ops.Lock()
	defer s.ops.Unlock()
	if !s.paused || s.closed {
		return nil
	}
	fresh := make([]*lower, len(s.conns))
	for i, c := range s.conns {
		spec := c.wants()
		if spec == nil {
			continue
		}
		var err error
		if fresh[i], err = s.open(spec); err != nil {
			return errors.Join(err, s.discard(fresh))
		}
	}
	s.paused = false
	var errs []error
	for i, c := range s.conns {
		if fresh[i] != nil {
			errs = append(errs, c.replace(fresh[i]))
		}
	}
	return errors.Join(errs...)
}

// settleTime bounds how long a change waits until what it replaced has been read to its end.
const settleTime = 5 * time.Second

// settle waits for that. It looks again and again, since what it waits for takes milliseconds, and is rare.
func (s *swapper) settle() {
	for until := time.Now().Add(settleTime); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(s.conns, (*swapConn).changes) {
			return
		}
	}
}

// discard closes lower handles that nobody has read.
func (s *swapper) discard(all []*lower) error {
	var errs []error
	for _, l := range all {
		if l != nil {
			errs = append(errs, l.conn.Close())
		}
	}
	return errors.Join(errs...)
}

// reopen tries to open again what died under a handle. done: nothing is left to do.
func (s *swapper) reopen(c *swapConn) (done bool, err error) {
	s.ops.Lock()
	defer s.ops.Unlock()
	spec := c.wants()
	if spec == nil || s.paused || s.closed || c.working() {
		return true, nil
	}
	l, err := s.open(spec)
	if err != nil {
		return false, err
	}
	return true, c.replace(l)
}

// close waits until what was replaced is closed. Conns are closed before, by their handles.
func (s *swapper) close() {
	s.ops.Lock()
	s.closed = true
	s.ops.Unlock()
	s.closing.Wait()
}
