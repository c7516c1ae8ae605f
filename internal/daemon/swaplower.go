package daemon

import (
	"github.com/weirnet/weir/divertdrv"
)

// lower is what is, or was, under a handle.
type lower struct {
	conn       divertdrv.Conn
	failClosed bool
	tag        uint64 // stands in the upper bits of its packets' tokens
	serial     uint64 // from 1, of all that were opened

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
