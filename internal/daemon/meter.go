package daemon

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/clock"
)

// metered wraps a driver: it adds up the bytes that are received, and ends receiving at a count of packets.
type metered struct {
	divertdrv.Driver
	bytes atomic.Uint64
	quota *quota // nil: no end
}

func (m *metered) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := m.Driver.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	mc := &meteredConn{Conn: c, m: m, over: make(chan struct{})}
	if m.quota != nil {
		m.quota.conns = append(m.quota.conns, mc) // handles are opened one after the other, before packets are read
	}
	return mc, nil
}

type meteredConn struct {
	divertdrv.Conn
	m *metered

	part int           // of the quota, while it is in Recv; guarded by quota.mu
	over chan struct{} // closed by Shutdown and Close
	ends sync.Once
}

// Unwrap is the driver's own.
func (c *meteredConn) Unwrap() divertdrv.Conn { return c.Conn }

// Clock is the time that deadlines of held packets go by.
func (c *meteredConn) Clock() clock.Clock {
	if own, ok := c.Conn.(interface{ Clock() clock.Clock }); ok {
		return own.Clock()
	}
	return clock.System
}

func (c *meteredConn) Recv(b *divertdrv.Batch) error {
	if q := c.m.quota; q != nil {
		n := q.take(c)
		if n == 0 {
			_ = c.Conn.Shutdown(divertdrv.ShutdownRecv) // what still matches passes by
			return divertdrv.ErrShutdown
		}
		b.Limit(n)
		defer func() { q.giveBack(c, n-b.Len()) }()
	}
	if err := c.Conn.Recv(b); err != nil {
		return err
	}
	sum := uint64(0)
	for i := range b.Packets() {
		sum += uint64(len(b.Packets()[i].Data))
	}
	c.m.bytes.Add(sum)
	return nil
}

// Shutdown and Close end a wait for a part of the quota too.

func (c *meteredConn) Shutdown(how divertdrv.Shutdown) error {
	if how&divertdrv.ShutdownRecv != 0 {
		c.ends.Do(func() { close(c.over) })
	}
	return c.Conn.Shutdown(how)
}

func (c *meteredConn) Close() error {
	c.ends.Do(func() { close(c.over) })
	return c.Conn.Close()
}

// quota is how many packets may still be received. Each Recv takes its part before it waits, so that all together never
// receive more; with several handles a part is small, so that none is left without while another waits.
type quota struct {
	handles uint64

	mu      sync.Mutex // guards all below
	left    uint64
	conns   []*meteredConn
	changed chan struct{} // closed when a part comes back; nil: nobody waits for that
}

// idleTime is for how long others wait for the part of a handle that receives nothing. Then receiving ends there: it is the end of
// the run, and the last packets may be those of others.
const idleTime = 100 * time.Millisecond

// take returns how many packets c may receive now; 0: no more.
func (q *quota) take(c *meteredConn) int {
	for {
		n, holders, changed := q.try(c)
		if n > 0 || len(holders) == 0 {
			return n
		}
		select {
		case <-changed:
		case <-c.over:
			return 0
		case <-time.After(idleTime):
			for _, h := range holders {
				_ = h.Shutdown(divertdrv.ShutdownRecv) // its Recv returns and gives back
			}
		}
	}
}

// try takes a part, or returns who has what is left, and what tells when that changes.
func (q *quota) try(c *meteredConn) (n int, holders []*meteredConn, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left == 0 {
		for _, o := range q.conns {
			if o.part > 0 {
				holders = append(holders, o)
			}
		}
		if q.changed == nil {
			q.changed = make(chan struct{})
		}
		return 0, holders, q.changed
	}
	part := q.left
	if q.handles > 1 {
		part = min(part, max(1, part/(2*q.handles)))
	}
	c.part = int(min(part, divertdrv.BatchMax))
	q.left -= uint64(c.part)
	return c.part, nil, nil
}

// giveBack ends the part of c, of which n packets were not received.
func (q *quota) giveBack(c *meteredConn, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left += uint64(n)
	c.part = 0
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}
