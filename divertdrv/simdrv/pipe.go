package simdrv

import (
	"container/heap"
	"sync"
	"time"

	"github.com/weirnet/weir/internal/clock"
)

// PipeConfig describes one direction of a wire.
type PipeConfig struct {
	Clock  clock.Clock   // nil: the system's
	Delay  time.Duration // of each packet
	Faults Faults
	Max    int // packets under way at once; more are lost and counted. 0: 4096
}

const (
	pipeMax      = 4096
	delayDefault = 10 * time.Millisecond // Faults.DelayMax
)

// PipeStats counts packets. At every moment Sent + Duplicated = Delivered + Dropped + NoRoom + Refused + UnderWay.
type PipeStats struct {
	Sent, Delivered, UnderWay                                     uint64
	Dropped, Duplicated, Reordered, Delayed, Corrupted, Truncated uint64 // by Faults
	NoRoom                                                        uint64 // since Max were under way, or after Close
	Refused                                                       uint64 // by who gets them
}

// Pipe is one direction of a wire, with a delay and faults. Its methods may be called from any goroutine, and from within a
// Stack's OnWire.
type Pipe struct {
	config  PipeConfig
	deliver func(data []byte) error

	mu       sync.Mutex // guards all below; not held during deliver
	luck     *luck
	queue    transits
	free     []*transit
	seq      uint64
	floor    time.Time // nothing behind a delayed packet comes sooner
	timer    clock.Timer
	wakes    time.Time // when timer runs out
	draining bool      // somebody delivers; packets come one at a time and in order
	arriving uint64    // 1: a packet is with deliver
	closed   bool
	stats    PipeStats
}

// transit is a packet under way.
type transit struct {
	due  time.Time
	seq  uint64
	data []byte
}

// NewPipe returns a pipe that gives packets to deliver, one at a time: data is valid during the call. What it refuses is counted.
func NewPipe(c PipeConfig, deliver func(data []byte) error) *Pipe {
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Max <= 0 {
		c.Max = pipeMax
	}
	if c.Faults.DelayMax <= 0 {
		c.Faults.DelayMax = delayDefault
	}
	c.Delay = max(c.Delay, 0)
	return &Pipe{config: c, deliver: deliver, luck: newLuck(c.Faults)}
}

// Send puts a packet in, which is copied. Without a delay it is delivered before Send returns, unless somebody else is at it.
func (p *Pipe) Send(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Sent++
	p.admit(data)
	p.drain()
}

// admit lets the faults have their way.
func (p *Pipe) admit(data []byte) {
	f := p.luck.befalls(p.stats.Sent)
	if f.drop {
		p.stats.Dropped++
		return
	}
	due := p.config.Clock.Now().Add(p.config.Delay)
	if f.slow > 0 {
		p.stats.Delayed++
		due = due.Add(f.slow)
	}
	if due.Before(p.floor) {
		due = p.floor
	}
	p.floor = due
	if f.late > 0 {
		p.stats.Reordered++
		due = due.Add(f.late)
	}
	p.push(due, data, f.damage[0])
	if f.twice {
		p.stats.Duplicated++
		p.push(due, data, f.damage[1])
	}
}

// push copies a packet, damaged or not.
func (p *Pipe) push(due time.Time, data []byte, d damage) {
	if p.closed || len(p.queue) >= p.config.Max {
		p.stats.NoRoom++
		return
	}
	t := p.transit()
	p.seq++
	t.due, t.seq, t.data = due, p.seq, append(t.data[:0], data...)
	if len(data) > 0 {
		p.damage(t, d)
	}
	heap.Push(&p.queue, t)
}

// transit returns one that is free.
func (p *Pipe) transit() *transit {
	last := len(p.free) - 1
	if last < 0 {
		return &transit{}
	}
	t := p.free[last]
	p.free = p.free[:last]
	return t
}

func (p *Pipe) damage(t *transit, d damage) {
	if d.corrupt {
		p.stats.Corrupted++
		bit := d.bit % uint64(8*len(t.data))
		t.data[bit/8] ^= 1 << (bit % 8)
	}
	if d.truncate {
		p.stats.Truncated++
		t.data = t.data[:d.end%uint64(len(t.data))]
	}
}

// drain delivers what is due, and sets the timer for the rest. It lets the lock go for each packet.
func (p *Pipe) drain() {
	if p.draining {
		return // whoever does sees what was added
	}
	p.draining = true
	for len(p.queue) > 0 && !p.queue[0].due.After(p.config.Clock.Now()) {
		t := heap.Pop(&p.queue).(*transit)
		p.arriving = 1
		p.mu.Unlock()
		err := p.deliver(t.data)
		p.mu.Lock()
		p.arriving = 0
		if err != nil {
			p.stats.Refused++
		} else {
			p.stats.Delivered++
		}
		p.free = append(p.free, t)
	}
	p.draining = false
	p.wake()
}

// wake sets the timer to the next packet.
func (p *Pipe) wake() {
	if len(p.queue) == 0 || p.closed {
		return
	}
	next := p.queue[0].due
	if p.timer != nil && !next.Before(p.wakes) {
		return
	}
	p.stop()
	p.wakes = next
	p.timer = p.config.Clock.AfterFunc(next.Sub(p.config.Clock.Now()), p.ring)
}

func (p *Pipe) ring() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	p.drain()
}

func (p *Pipe) stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// Close cuts the wire: what is under way is lost, as is what is sent from then on. A packet that is arriving arrives. Repeating
// it is harmless.
func (p *Pipe) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.stop()
	p.stats.NoRoom += uint64(len(p.queue))
	p.queue = nil
}

// Stats returns a snapshot.
func (p *Pipe) Stats() PipeStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.stats
	st.UnderWay = uint64(len(p.queue)) + p.arriving
	return st
}

// transits is a heap: the earliest first, then the one sent first.
type transits []*transit

func (q transits) Len() int { return len(q) }

func (q transits) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].seq < q[j].seq
	}
	return q[i].due.Before(q[j].due)
}

func (q transits) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *transits) Push(x any) { *q = append(*q, x.(*transit)) }

func (q *transits) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return t
}
