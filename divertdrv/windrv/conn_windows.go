package windrv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// conn is an open handle.
//
//	open ──Close──▶ closing: reads are cancelled, no request is started ──▶ closed: all memory is given back
type conn struct {
	handle  owned
	layer   divertdrv.Layer
	flags   divertdrv.Flags
	holdMax int
	filter  *divertdrv.Filter // asked again for what the driver lets through; nil: the driver decides

	starting sync.Mutex // guards closing and, with reading, changes of flight: no read is started once they are taken back
	closing  bool

	reading sync.Mutex   // guards what follows; Recv has it while it waits
	flight  []*operation // reads that were started and not consumed, oldest first
	idle    []*operation // reads that are not under way
	reads   int          // most in flight
	depth   int          // how many there should be now, 1..reads
	want    int          // bytes that a read asks for now, MTUMax..bufferSize

	sending sync.Mutex // guards what follows
	sender  *operation
	pace    pace

	asking sync.Mutex // guards asker
	asker  *operation // parameters and shutdown

	lost atomic.Uint64 // packets that were too large for a read

	over sync.Once
	err  error // of Close
}

func (c *conn) prepare() (err error) {
	if c.asker, err = newOperation(); err != nil {
		return err
	}
	c.sender, err = newOperation()
	return err
}

// copies says that what is received goes nowhere, since the packets themselves went on, or there are none.
func (c *conn) copies() bool {
	return c.flags&divertdrv.Sniff != 0 || c.layer > divertdrv.NetworkForward
}

// Caps is what WinDivert can do.
func (c *conn) Caps() divertdrv.Caps {
	caps := divertdrv.Caps{Process: true, IfIdx: true, HoldMax: c.holdMax}
	if c.layer <= divertdrv.NetworkForward {
		caps.Inject, caps.Modify, caps.Grow = true, true, true
		caps.InjectInbound = c.layer == divertdrv.Network
		caps.GSO, caps.Fragments = true, true
	}
	return caps
}

// Stats says what was lost here; what the driver loses it does not tell.
func (c *conn) Stats() (s divertdrv.Stats) {
	s.Lost = c.lost.Load()
	s.LostBy[reason.TooBig] = s.Lost
	return s
}

// ask makes a request that is answered at once.
func (c *conn) ask(code uint32, words [2]uint64, n int) (uint64, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if c.asker == nil {
		return 0, divertdrv.ErrClosed
	}
	c.asker.words = words
	err := c.asker.do(c.handle.Handle, code, n)
	return binary.LittleEndian.Uint64(c.asker.buffer), err
}

// Param reads a parameter.
func (c *conn) Param(p divertdrv.Param) (uint64, error) {
	if p > addr.VersionMinor {
		return 0, fmt.Errorf("%w: parameter %d", divertdrv.ErrUnsupported, p)
	}
	return c.ask(codeGetParam, [2]uint64{uint64(p)}, 8)
}

// SetParam sets a parameter, which the handle has checked.
func (c *conn) SetParam(p divertdrv.Param, v uint64) error {
	_, err := c.ask(codeSetParam, [2]uint64{v, uint64(p)}, 0)
	return err
}

// Shutdown tells the driver; it answers the reads that wait once there is nothing left to read.
func (c *conn) Shutdown(how divertdrv.Shutdown) error {
	_, err := c.ask(codeShutdown, [2]uint64{uint64(how)}, 0)
	if errors.Is(err, divertdrv.ErrClosed) {
		return nil
	}
	return err
}

// Close takes the reads back, sends on what they brought and nobody saw, and closes the handle.
func (c *conn) Close() error {
	c.over.Do(func() { c.err = c.close() })
	return c.err
}

func (c *conn) close() error {
	c.stopReads()
	c.reading.Lock()
	defer c.reading.Unlock()
	for _, o := range c.flight {
		o.finish(c.handle.Handle, true)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	for _, o := range c.flight {
		c.sendUnread(o)
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	err := c.handle.close()
	for _, o := range append(append(c.flight, c.idle...), c.sender, c.asker) {
		if o != nil {
			o.free()
		}
	}
	c.flight, c.idle, c.sender, c.asker = nil, nil, nil, nil
	return asErrno(err)
}
