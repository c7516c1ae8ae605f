package dpc

import (
	"fmt"
	"reflect"
	"runtime"
	"sync/atomic"
)

// Importance says where in its queue a DPC is put, and with the drain rule how soon it runs (KeSetImportanceDpc).
type Importance uint8

const (
	// Low goes to the tail and starts no drain, unless the queue is long or requests are rare.
	Low Importance = iota
	// Medium is the default. It goes to the tail and starts a drain of the own processor's queue only.
	Medium
	// MediumHigh goes to the tail and starts a drain of any queue. Work on packets uses this.
	MediumHigh
	// High goes to the head, before what waits there already, and starts a drain of any queue.
	High
)

func (i Importance) String() string {
	if i > High {
		return fmt.Sprintf("Importance(%d)", uint8(i))
	}
	return [...]string{"Low", "Medium", "MediumHigh", "High"}[i]
}

// MaxQueues is the largest number of queues that a Pool may have.
const MaxQueues = 1024

// noQueue stands for no target, and for no current processor.
const noQueue = -1

// DPC is a deferred call: a routine that is queued at most once at a time. Make it with New or NewFunc; it must not be
// copied. All methods are safe from any goroutine, also from the routine itself.
type DPC struct {
	routine func(Call)
	entry   uintptr // of the function the maker gave, for String
	number  uint64  // in the order of creation: gives the home queue

	importance atomic.Uint32
	target     atomic.Int32
	threaded   atomic.Bool
	pool       atomic.Pointer[Pool] // the first pool that it was given to

	// queue is where it waits; nil: not queued. It changes to or from q only while q.mu is held, and that lock guards
	// the fields below while it is q.
	queue      atomic.Pointer[queue]
	next, prev *DPC
	arg1, arg2 any
	epoch      uint64 // of q when it was inserted; tells a flush what came before it
}

var created atomic.Uint64

// New returns a DPC that runs routine with the arguments of the Queue that succeeded. The routine runs on a worker of
// the pool: it must not block, and should take less than 100 µs. A nil routine panics.
func New(routine func(arg1, arg2 any)) *DPC {
	if routine == nil {
		panic("dpc: New: the routine is nil")
	}
	d := NewFunc(func(c Call) { routine(c.Arg1, c.Arg2) })
	d.entry = reflect.ValueOf(routine).Pointer()
	return d
}

// NewFunc is New for a routine that wants to know where it runs: what it may use up, its queue, and the context by which
// blocking calls are refused.
func NewFunc(routine func(c Call)) *DPC {
	if routine == nil {
		panic("dpc: NewFunc: the routine is nil")
	}
	d := &DPC{routine: routine, entry: reflect.ValueOf(routine).Pointer(), number: created.Add(1) - 1}
	d.importance.Store(uint32(Medium))
	d.target.Store(noQueue)
	return d
}

// SetImportance takes effect at the next Queue. A value that is not defined changes nothing.
func (d *DPC) SetImportance(i Importance) {
	if i <= High {
		d.importance.Store(uint32(i))
	}
}

// SetTarget chooses the queue for the next Queue; a DPC that is queued already does not move. It reports whether the
// number is in range, 0 to Pool.Queues()-1; if not, nothing changes. A DPC that no pool has seen yet takes any number
// below MaxQueues, and Queue refuses it if that pool has fewer (ErrTarget).
func (d *DPC) SetTarget(queue int) bool {
	limit := MaxQueues
	if p := d.pool.Load(); p != nil {
		limit = p.Queues()
	}
	if queue < 0 || queue >= limit {
		return false
	}
	d.target.Store(int32(queue))
	return true
}

// join makes p the pool of d, if no other came first.
func (d *DPC) join(p *Pool) bool {
	return d.pool.CompareAndSwap(nil, p) || d.pool.Load() == p
}

// SetThreaded makes the next Queue use the threaded queue of the processor, which has a worker of its own: long DPCs
// there do not hold up the ordinary ones. The same restrictions hold in the routine. A threaded queue is always drained
// at once, whatever the importance; High still goes to its head. With Config.NoThreaded it changes nothing.
func (d *DPC) SetThreaded(threaded bool) { d.threaded.Store(threaded) }

// String names the DPC by its routine.
func (d *DPC) String() string {
	if f := runtime.FuncForPC(d.entry); f != nil {
		return f.Name()
	}
	return "unknown routine"
}
