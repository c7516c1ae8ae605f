package daemon

import (
	"errors"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/processor/policy"
)

// lower is what is, or was, under a handle.
type lower struct {
	conn       divertdrv.Conn
	failClosed bool
	tag        uint64 // stands in the upper bits of its packets' tokens

	// Guarded by swapConn.mu.
	leaving  bool // it was shut down by us, to be replaced
	dead     bool
	over     bool // it was read to its end, and what was read of it was completed
	held     int  // of its packets, those that were held, known when their batch is completed,
	released int  // and of those, those that were released
}

const tagShift = 56

// tags is how many lower handles can be told apart at once.
const tags = 1 << (64 - tagShift)

// swapConn is the conn of one handle of the processor. One goroutine receives and completes; all else may be called from any.
//
//	idle ──replace──▶ now ──replace──▶ now leaving, next ──its end──▶ now …
//	                   └──death──▶ idle, until the driver is opened again
type swapConn struct {
	s     *swapper
	id    int
	layer divertdrv.Layer
	caps  divertdrv.Caps
	last  *lower // of the batch at hand; the receiver's own

	mu       sync.Mutex // guards all below
	changed  sync.Cond
	spec     *policy.Handle  // what should be open under it; nil: nothing
	now      *lower          // the one that is read; nil: none
	next     *lower          // is read when now has ended
	past     []*lower        // not closed yet
	gone     divertdrv.Stats // of those that are closed
	dry      bool            // the driver has no more packets for it
	recvShut bool
	sendShut bool
	closed   bool
}

// wants is what should be open under it.
func (c *swapConn) wants() *policy.Handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spec
}

// working says whether packets may come.
func (c *swapConn) working() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.dry && (c.next != nil || c.now != nil && !c.now.leaving)
}

// end has Recv of an idle conn end.
func (c *swapConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dry = true
	c.changed.Broadcast()
}

// replace puts l, or nothing, in the place of what is under the handle. s.ops is held, so there is one at a time. It returns when
// no rule brings packets to the old one any more; what is queued there is still read.
func (c *swapConn) replace(l *lower) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.s.discard([]*lower{l})
	}
	if l != nil {
		l.tag = c.freeTag()
		l.shut(c.recvShut, c.sendShut)
	}
	c.await() // a change before this one
	if l == nil {
		c.giveUp()
	}
	old := c.now
	if old == nil {
		c.now = l
		c.sweep()
	} else {
		old.leaving, c.next = true, l
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.conn.Shutdown(divertdrv.ShutdownRecv)
}

// giveUp lets go of lower handles that died and fail closed: nothing is to be diverted any more. It needs c.mu.
func (c *swapConn) giveUp() {
	for _, l := range c.past {
		l.failClosed = l.failClosed && !l.dead
	}
	c.sweep()
}

// shut has a lower handle be in the state of the handle above it.
func (l *lower) shut(recv, send bool) {
	if recv {
		_ = l.conn.Shutdown(divertdrv.ShutdownRecv) // Recv tells
	}
	if send {
		_ = l.conn.Shutdown(divertdrv.ShutdownSend) // the same
	}
}

// await waits until the change before is over: until the old lower handle was read to its end. It needs c.mu, and gives it up
// meanwhile.
func (c *swapConn) await() {
	for c.now != nil && c.now.leaving && !c.closed {
		c.changed.Wait()
	}
}

// changes says whether what was replaced is still being read.
func (c *swapConn) changes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now != nil && c.now.leaving && !c.closed
}

// freeTag is one that no lower handle has.
func (c *swapConn) freeTag() uint64 {
	used := map[uint64]bool{}
	for _, l := range append([]*lower{c.now, c.next}, c.past...) {
		if l != nil {
			used[l.tag] = true
		}
	}
	for t := uint64(0); t < tags; t++ {
		if !used[t<<tagShift] {
			return t << tagShift
		}
	}
	return 0
}

// Recv receives from what is under the handle, whatever that is by then.
func (c *swapConn) Recv(b *divertdrv.Batch) error {
	for {
		l, err := c.reading()
		if err != nil {
			return err
		}
		if err = l.conn.Recv(b); err == nil {
			l.mark(b)
			c.last = l
			return nil
		}
		if !c.goesOn(l, err) {
			return err
		}
	}
}

// mark makes tokens those of l.
func (l *lower) mark(b *divertdrv.Batch) {
	if l.tag == 0 {
		return
	}
	for i := range b.Packets() {
		b.SetToken(i, b.Token(i)^l.tag)
	}
}

// reading waits for something to read.
func (c *swapConn) reading() (*lower, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, divertdrv.ErrClosed
		case c.now != nil:
			return c.now, nil
		case c.recvShut, c.dry:
			return nil, divertdrv.ErrShutdown
		}
		c.changed.Wait()
	}
}

// goesOn is told how reading l ended, and says whether there is, or will be, something else to read.
func (c *swapConn) goesOn(l *lower, err error) bool {
	c.mu.Lock()
	ended := errors.Is(err, divertdrv.ErrShutdown) || errors.Is(err, divertdrv.ErrClosed)
	switch {
	case c.closed:
		c.mu.Unlock()
		return false
	case ended && c.recvShut && !l.leaving:
		c.mu.Unlock()
		return false
	case l.leaving:
		l.over = true
		c.advance(l)
		c.mu.Unlock()
		return true // reading tells if this was all
	case ended:
		c.dry = true
		c.mu.Unlock()
		c.s.ended()
		return false
	case !c.s.reopens:
		c.mu.Unlock()
		return false
	}
	l.over = true
	c.bury(l)
	c.mu.Unlock()
	c.s.died(c, err)
	return true
}

// advance goes on from l, which has ended, to what is next. It needs c.mu.
func (c *swapConn) advance(l *lower) {
	if c.now == l {
		c.now, c.next = c.next, nil
	}
	c.past = append(c.past, l)
	c.sweep()
	c.changed.Broadcast()
}

// bury is advance for one that died. It needs c.mu.
func (c *swapConn) bury(l *lower) {
	l.dead = true
	c.advance(l)
}

// sweep closes lower handles that are not needed any more: nothing of them is in a batch or held. One that died is closed at once
// unless it fails closed: its rules then hold until it is opened again. It needs c.mu.
func (c *swapConn) sweep() {
	var stay []*lower
	for _, l := range c.past {
		done := l.over && l.released == l.held
		if l.dead {
			done = !l.failClosed || c.now != nil
		}
		if !done {
			stay = append(stay, l)
			continue
		}
		before := l.conn.Stats()
		c.gone.Add(before)
		c.s.closing.Go(func() { c.closeLower(l, before) })
	}
	c.past = stay
}

// closeLower closes what was replaced, and books what the driver counted on the way out.
func (c *swapConn) closeLower(l *lower, before divertdrv.Stats) {
	_ = l.conn.Close() // what the kernel keeps of it goes with the process
	after := l.conn.Stats()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone.Add(difference(after, before))
}

// difference is what was added to a.
func difference(a, b divertdrv.Stats) divertdrv.Stats {
	a.Received -= b.Received
	a.Passed -= b.Passed
	a.Lost -= b.Lost
	for i := range a.Dropped {
		a.Dropped[i] -= b.Dropped[i]
		a.LostBy[i] -= b.LostBy[i]
	}
	return a
}

// Complete gives a batch back to where it came from. A driver that died loses it: its packets are counted as such, and that is no
// reason to end.
func (c *swapConn) Complete(b *divertdrv.Batch) error {
	l := c.last
	l.mark(b) // and so unmarks it
	err := l.conn.Complete(b)
	held := 0
	for i := range b.Packets() {
		if b.IsHeld(i) {
			held++
		}
	}
	if held == 0 && err == nil {
		return nil
	}
	c.mu.Lock()
	l.held += held
	fatal := err != nil && !(c.s.reopens && !c.closed)
	if err == nil || fatal {
		c.mu.Unlock()
		return err
	}
	for i := range b.Packets() {
		b.Fail(i, reason.SendFailed)
	}
	told := l.dead
	if !told {
		l.over = true
		c.bury(l)
	}
	c.mu.Unlock()
	if !told {
		c.s.died(c, err)
	}
	return nil
}

// Release gives a held packet back to where it came from.
func (c *swapConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	l := c.owner(token)
	if l == nil {
		return divertdrv.ErrClosed // it died
	}
	err := l.conn.Release(token&(1<<tagShift-1), m, p)
	c.mu.Lock()
	defer c.mu.Unlock()
	l.released++
	c.sweep()
	return err
}

func (c *swapConn) owner(token uint64) *lower {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range append([]*lower{c.now, c.next}, c.past...) {
		if l != nil && l.tag == token>>tagShift<<tagShift {
			return l
		}
	}
	return nil
}

// Inject puts packets in by what is under the handle, or was.
func (c *swapConn) Inject(p []divertdrv.Packet) (int, error) {
	c.mu.Lock()
	l, spec, closed := c.now, c.spec, c.closed
	if l == nil && len(c.past) > 0 && !c.past[len(c.past)-1].dead {
		l = c.past[len(c.past)-1]
	}
	c.mu.Unlock()
	switch {
	case closed:
		return 0, divertdrv.ErrClosed
	case l == nil:
		return 0, divertdrv.ErrShutdown
	case spec != nil && spec.Flags&divertdrv.RecvOnly != 0:
		return 0, divertdrv.ErrUnsupported
	}
	return l.conn.Inject(p)
}

// current is what is under the handle now.
func (c *swapConn) current() (*lower, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, divertdrv.ErrClosed
	case c.now == nil:
		return nil, divertdrv.ErrShutdown
	}
	return c.now, nil
}

// Param asks what is under the handle now.
func (c *swapConn) Param(p divertdrv.Param) (uint64, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	return l.conn.Param(p)
}

// SetParam sets a parameter of what is under the handle now.
func (c *swapConn) SetParam(p divertdrv.Param, v uint64) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	return l.conn.SetParam(p, v)
}

// MTU asks what is under the handle now.
func (c *swapConn) MTU(p *divertdrv.Packet) int {
	l, err := c.current()
	if err != nil {
		return 0
	}
	return mtuOf(l.conn, p)
}

func mtuOf(c divertdrv.Conn, p *divertdrv.Packet) int {
	if c, ok := offers[interface{ MTU(p *divertdrv.Packet) int }](c); ok {
		return c.MTU(p)
	}
	return 0
}

// Clock is the time that deadlines of held packets go by.
func (c *swapConn) Clock() clock.Clock { return c.s.clock }

// Shutdown ends receiving, sending, or both, also of what comes under the handle later.
func (c *swapConn) Shutdown(how divertdrv.Shutdown) error {
	c.mu.Lock()
	c.recvShut = c.recvShut || how&divertdrv.ShutdownRecv != 0
	c.sendShut = c.sendShut || how&divertdrv.ShutdownSend != 0
	now, next := c.now, c.next
	c.changed.Broadcast()
	c.mu.Unlock()
	var errs []error
	for _, l := range []*lower{now, next} {
		if l != nil {
			errs = append(errs, l.conn.Shutdown(how))
		}
	}
	return errors.Join(errs...)
}

// Close closes all that is, and was, under the handle.
func (c *swapConn) Close() error {
	c.mu.Lock()
	c.closed = true
	all := append([]*lower{c.now, c.next}, c.past...)
	c.changed.Broadcast()
	c.mu.Unlock()
	var errs []error
	for _, l := range all {
		if l != nil {
			errs = append(errs, l.conn.Close())
		}
	}
	return errors.Join(errs...)
}

// Caps are those of what was under it first.
func (c *swapConn) Caps() divertdrv.Caps { return c.caps }

// Stats adds up what all that is, and was, under the handle counted by itself.
func (c *swapConn) Stats() divertdrv.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.gone
	for _, l := range append([]*lower{c.now, c.next}, c.past...) {
		if l != nil {
			sum.Add(l.conn.Stats())
		}
	}
	return sum
}

// Waiting is how many packets wait for a verdict, those that are held or in a batch too; known: the driver tells.
func (c *swapConn) Waiting() (n uint64, known bool) {
	l, err := c.current()
	if err != nil {
		return 0, true
	}
	if w, ok := offers[interface{ Waiting() (uint64, bool) }](l.conn); ok {
		return w.Waiting()
	}
	return 0, false
}
