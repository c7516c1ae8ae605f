package simdrv

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weirnet/weir/internal/clock"
)

// Faults says what goes wrong on a wire: each is the chance, 0 to 1, that it befalls a packet. The same seed does the same to
// the same packets.
type Faults struct {
	Seed      uint64
	Drop      float64 // the packet is lost
	Duplicate float64 // it comes twice
	Reorder   float64 // it comes up to DelayMax later than it should; others overtake it
	Delay     float64 // it and all behind it come up to DelayMax later
	Corrupt   float64 // one bit of it is another
	Truncate  float64 // its end is missing

	DelayMax time.Duration // 0: 10 ms
}

// PipeConfig describes one direction of a wire.
type PipeConfig struct {
	Clock  clock.Clock   // nil: the system's
	Delay  time.Duration // of each packet
	Faults Faults
	Max    int // packets under way at once; more are lost and counted. 0: 4096
}

const (
	pipeMax      = 4096
	delayDefault = 10 * time.Millisecond
)

// PipeStats counts packets: Sent + Duplicated = Delivered + Dropped + NoRoom + Refused + UnderWay.
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
	rng      *rand.Rand
	queue    transits
	free     []*transit
	seq      uint64
	floor    time.Time // nothing behind a delayed packet comes sooner
	timer    clock.Timer
	wakes    time.Time // when timer runs out
	draining bool      // somebody delivers; packets come one at a time and in order
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
	return &Pipe{config: c, deliver: deliver, rng: rand.New(rand.NewPCG(c.Faults.Seed, 0x70697065))}
}

// Send puts a packet in, which is copied. Without a delay it is delivered before Send returns, unless somebody else is at it.
func (p *Pipe) Send(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Sent++
	p.admit(data)
	p.drain()
}

// admit lets the faults have their way, in a fixed order of chances, so that one does not shift the next packet's.
func (p *Pipe) admit(data []byte) {
	f := &p.config.Faults
	drop, twice := p.chance(f.Drop), p.chance(f.Duplicate)
	late, slow := p.chance(f.Reorder), p.chance(f.Delay)
	if drop {
		p.stats.Dropped++
		return
	}
	now := p.config.Clock.Now()
	due := now.Add(p.config.Delay)
	if slow {
		p.stats.Delayed++
		due = due.Add(p.some(f.DelayMax))
	}
	if due.Before(p.floor) {
		due = p.floor
	}
	p.floor = due
	if late {
		p.stats.Reordered++
		due = due.Add(p.some(f.DelayMax))
	}
	p.push(due, data)
	if twice {
		p.stats.Duplicated++
		p.push(due, data)
	}
}

func (p *Pipe) chance(of float64) bool { return p.rng.Float64() < of }

func (p *Pipe) some(most time.Duration) time.Duration {
	return time.Duration(1 + p.rng.Int64N(int64(most)))
}

// push copies a packet, damaged or not.
func (p *Pipe) push(due time.Time, data []byte) {
	if p.closed || len(p.queue) >= p.config.Max {
		p.stats.NoRoom++
		return
	}
	t := &transit{}
	if last := len(p.free) - 1; last >= 0 {
		t, p.free = p.free[last], p.free[:last]
	}
	p.seq++
	t.due, t.seq, t.data = due, p.seq, append(t.data[:0], data...)
	p.damage(t)
	heap.Push(&p.queue, t)
}

func (p *Pipe) damage(t *transit) {
	if p.chance(p.config.Faults.Corrupt) && len(t.data) > 0 {
		p.stats.Corrupted++
		t.data[p.rng.IntN(len(t.data))] ^= 1 << p.rng.IntN(8)
	}
	if p.chance(p.config.Faults.Truncate) && len(t.data) > 0 {
		p.stats.Truncated++
		t.data = t.data[:p.rng.IntN(len(t.data))]
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
		p.mu.Unlock()
		err := p.deliver(t.data)
		p.mu.Lock()
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

// Close cuts the wire: what is under way is lost, as is what is sent from then on. Repeating it is harmless.
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
	st.UnderWay = uint64(len(p.queue))
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
