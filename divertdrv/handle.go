package divertdrv

import (
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// Handle is an open divert handle. One Recv and one Complete may run at the same time per reader; Inject, Shutdown, Close and
// Stats may be called from any goroutine.
type Handle struct {
	conn   Conn
	driver string
	layer  Layer
	filter *Filter
	opts   Options
	caps   Caps
	clock  clock.Clock
	closed atomic.Bool

	closing  sync.Once
	closeErr error

	mu       sync.Mutex // guards all below; taken once per batch and per held packet
	noneHeld sync.Cond
	stats    Stats
	pool     holdPool
}

// Filter is the program that the handle was opened with.
func (h *Handle) Filter() *Filter { return h.filter }

// Layer is the layer that the handle was opened at.
func (h *Handle) Layer() Layer { return h.layer }

// Driver is the driver's name.
func (h *Handle) Driver() string { return h.driver }

// Options are those that the handle was opened with, defaults filled in.
func (h *Handle) Options() Options { return h.opts }

// Caps is what the driver can do here.
func (h *Handle) Caps() Caps { return h.caps }

// Recv fills b with at least one packet, in the driver's order, and blocks until there is one. ErrShutdown: receiving was shut
// down and all packets were read; ErrClosed: the handle is closed. b is untouched by an error and may be used again. It panics
// if b was received into and not completed.
func (h *Handle) Recv(b *Batch) error {
	b.begin(h)
	err := ErrClosed
	if !h.closed.Load() {
		err = h.conn.Recv(b)
	}
	if err != nil {
		b.end()
		return h.opError("recv", err)
	}
	b.state = received
	h.mu.Lock()
	h.stats.Received += uint64(b.n)
	h.stats.InBatch += uint64(b.n)
	h.mu.Unlock()
	return nil
}

// Complete sends the marks of all packets of b in one go; then b may be received into. Packets that the driver could not put
// back count as dropped by SendFailed or the cause that the driver names. After Close the packets of b are lost and count as
// Abandoned: ErrClosed. It panics if h did not fill b or b was completed before.
func (h *Handle) Complete(b *Batch) error {
	b.expect(received, "Complete")
	if b.owner != h {
		panic(Misuse("Complete on a handle that did not fill the batch"))
	}
	for i := range b.slots[:b.n] {
		if b.slots[i].mark == Pass {
			b.packets[i].settle(false)
		}
	}
	b.state = completing
	err := ErrClosed
	if h.closed.Load() {
		b.failAll(reason.Abandoned)
	} else {
		err = h.conn.Complete(b)
	}
	h.count(b)
	b.end()
	return h.opError("complete", err)
}

func (b *Batch) failAll(why Cause) {
	for i := range b.slots[:b.n] {
		b.Fail(i, why)
	}
}

// count books what became of a batch.
func (h *Handle) count(b *Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range b.slots[:b.n] {
		switch s := &b.slots[i]; s.mark {
		case Pass:
			h.stats.Passed++
		case Drop:
			h.stats.Dropped[s.why%reason.Max]++
		case held:
			continue // left the batch when it was held
		}
		h.stats.InBatch--
	}
}

// Inject puts packets in that were never received here, in order, until one fails: n went in, and err says what became of the
// next. What they owe is made good in place first: checksums that their Address does not call final, and whatever follows from
// Edit, SetDirty and Resize. A packet of a batch cannot be injected, since it would go on twice: Clone it; it panics.
func (h *Handle) Inject(p []Packet) (n int, err error) {
	for i := range p {
		if p[i].b != nil {
			panic(Misuse("Inject of a received packet; mark it Pass, or Clone it"))
		}
	}
	for i := range p {
		p[i].settle(true)
	}
	switch {
	case len(p) == 0:
		return 0, nil
	case h.closed.Load():
		err = ErrClosed
	case h.opts.Flags&RecvOnly != 0 || !h.caps.Inject:
		err = ErrUnsupported
	default:
		n, err = h.conn.Inject(p)
	}
	h.mu.Lock()
	h.stats.Injected += uint64(n)
	h.stats.Completed += uint64(n)
	if err != nil {
		h.stats.Injected++
		h.stats.Failed++
	}
	h.mu.Unlock()
	return n, h.opError("inject", err)
}

// Clock is what the driver goes by: deadlines of held packets, and time stamps.
func (h *Handle) Clock() clock.Clock { return h.clock }

// MTU is the largest packet, in bytes with its IP header, that can leave here on the way that p takes out of this host, by its
// Address and destination; 0: the driver does not know.
func (h *Handle) MTU(p *Packet) int {
	if c, ok := as[interface{ MTU(p *Packet) int }](h.conn); ok {
		return c.MTU(p)
	}
	return 0
}

// as finds what a Conn, or one that it wraps, can do besides.
func as[T any](c Conn) (t T, ok bool) {
	for {
		if t, ok = c.(T); ok {
			return t, true
		}
		w, wraps := c.(interface{ Unwrap() Conn })
		if !wraps {
			return t, false
		}
		c = w.Unwrap()
	}
}

// Param reads a parameter of the handle; ErrUnsupported where the driver has none such.
func (h *Handle) Param(p Param) (uint64, error) {
	v, err := h.conn.Param(p)
	return v, h.opError("param", err)
}

// SetParam sets a parameter; ErrInvalid for one that is read-only, unknown or out of its range (see addr.Param.Range).
func (h *Handle) SetParam(p Param, v uint64) error {
	lo, hi, _, ok := p.Range()
	if !ok || v < lo || v > hi {
		return h.opError("set param", ErrInvalid)
	}
	return h.opError("set param", h.conn.SetParam(p, v))
}

// Shutdown ends receiving, sending, or both. Packets that match from then on pass by; those queued can still be read, then Recv
// returns ErrShutdown. It wakes a blocked Recv. Repeating it is harmless.
func (h *Handle) Shutdown(how Shutdown) error {
	if how < ShutdownRecv || how > ShutdownBoth {
		return h.opError("shutdown", ErrInvalid)
	}
	if h.closed.Load() {
		return nil
	}
	return h.opError("shutdown", h.conn.Shutdown(how))
}

// Close drains the handle and ends it: held packets take their default, unread ones go on their way, a blocked Recv returns
// ErrClosed. Packets of a batch that is still out are lost when it is completed. Repeating it returns the first result.
func (h *Handle) Close() error {
	h.closing.Do(func() {
		h.mu.Lock()
		h.closed.Store(true) // under the lock: nothing is held from here on
		h.mu.Unlock()
		h.releaseAll(reason.Abandoned)
		h.closeErr = h.opError("close", h.conn.Close())
	})
	return h.closeErr
}

// Stats returns a snapshot that obeys the law of conservation.
func (h *Handle) Stats() Stats {
	h.mu.Lock()
	s := h.stats
	h.mu.Unlock()
	s.Add(h.conn.Stats())
	return s
}
