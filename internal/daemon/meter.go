package daemon

import (
	"sync"
	"sync/atomic"

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
	return &meteredConn{Conn: c, m: m}, nil
}

type meteredConn struct {
	divertdrv.Conn
	m *metered
}

// Clock is the time that deadlines of held packets go by.
func (c *meteredConn) Clock() clock.Clock {
	if own, ok := c.Conn.(interface{ Clock() clock.Clock }); ok {
		return own.Clock()
	}
	return clock.System
}

func (c *meteredConn) Recv(b *divertdrv.Batch) error {
	if q := c.m.quota; q != nil {
		n := q.take()
		if n == 0 {
			_ = c.Shutdown(divertdrv.ShutdownRecv) // what still matches passes by
			return divertdrv.ErrShutdown
		}
		b.Limit(n)
		defer func() { q.giveBack(n - b.Len()) }()
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

// quota is how many packets may still be received. Each Recv takes its part before it waits, so that all together never
// receive more; with several handles a part is small, so that none is left without while another waits.
type quota struct {
	handles uint64

	mu   sync.Mutex // guards left
	left uint64
}

func (q *quota) take() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.left
	if q.handles > 1 {
		n = min(n, max(1, n/(2*q.handles)))
	}
	n = min(n, divertdrv.BatchMax)
	q.left -= n
	return int(n)
}

func (q *quota) giveBack(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left += uint64(n)
}
