package nfqdrv

import (
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/judged"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/reason"
)

// books are what a handle's driver counts by itself.
type books struct {
	lost     [reason.Max]atomic.Uint64 // by the backlog and the joiner
	dropped  atomic.Uint64             // by a DropAll handle, in user space
	coarse   atomic.Uint64             // what matched in the kernel only
	repeated atomic.Uint64             // echoes

	mu       sync.Mutex // guards what follows
	closed   bool       // kernel is final
	kernel   queue.Stats
	inKernel uint64 // dropped by a DropAll handle's rules
	copies   uint64 // lost before anybody read them
	judged   judged.Stats
}

// keep asks the kernel for its counts once more, as long as they are there.
func (b *books) keep(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if c.queue != nil {
		if s, known := c.queue.Stats(); known {
			b.kernel = s
		}
	}
	b.inKernel = c.dropper.value()
	if c.copier != nil {
		b.copies = c.copier.lost.value()
	}
	if c.judged != nil {
		b.judged = c.judged.Stats()
	}
}

// close keeps the last counts.
func (b *books) close(c *conn) {
	b.keep(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// Stats returns what the driver did by itself: packets that it lost, and those of a DropAll handle. A packet that was passed and
// that the kernel had lost by then, since a device or somebody's base chain went away, moves from passed to dropped.
func (c *conn) Stats() divertdrv.Stats {
	b := &c.books
	b.keep(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	var s divertdrv.Stats
	for i := range b.lost {
		s.LostBy[i] = b.lost[i].Load()
	}
	s.LostBy[reason.QueueLength] += b.kernel.Full
	s.LostBy[reason.NoMemory] += b.kernel.NoMemory + b.copies
	for _, n := range s.LostBy {
		s.Lost += n
	}
	dropped := b.dropped.Load() + b.inKernel
	s.Received, s.Dropped[reason.DropHandle] = dropped, dropped
	s.CutThrough, s.Judged, s.JudgeRefused = b.judged.Passed, b.judged.Judged, b.judged.Refused
	s.Unmatched, s.Repeated = b.coarse.Load(), b.repeated.Load()
	s.Passed -= b.kernel.LateAccepts // below zero: it is added to what the handle counted
	s.Dropped[reason.SendFailed] = b.kernel.LateAccepts
	return s
}
