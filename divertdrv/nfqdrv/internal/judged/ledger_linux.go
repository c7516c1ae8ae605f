package judged

import (
	"sync"
	"sync/atomic"
)

// ledger knows of each packet that was received from the queue, and has not gone on, at which place it was counted. It is found by
// its id: ids are handed out one after the other, and few are out at once, so a ring has nearly all of them. One that is held while
// the ring goes round moves aside.
type ledger struct {
	ring []atomic.Uint64 // id above used and place; 0: nothing

	out  atomic.Int64  // how many are out
	last atomic.Uint32 // the last id that was noted

	mu    sync.Mutex // guards aside, and moving there
	aside map[uint32]uint16
}

const (
	ringLen = 1 << 16
	used    = 1 << 31
)

func (l *ledger) init() {
	l.ring = make([]atomic.Uint64, ringLen)
	l.aside = make(map[uint32]uint16)
}

func (l *ledger) add(id uint32, place uint16) {
	slot := &l.ring[id%ringLen]
	if slot.Load() != 0 {
		l.mu.Lock()
		if old := slot.Swap(0); old != 0 {
			l.aside[uint32(old>>32)] = uint16(old)
		}
		l.mu.Unlock()
	}
	slot.Store(uint64(id)<<32 | used | uint64(place))
	l.out.Add(1)
	l.last.Store(id)
}

// take forgets a packet; false: it is not known, as one that was taken before.
func (l *ledger) take(id uint32) (place uint16, ok bool) {
	slot := &l.ring[id%ringLen]
	if v := slot.Load(); v != 0 && uint32(v>>32) == id && slot.CompareAndSwap(v, 0) {
		return uint16(v), true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	place, ok = l.aside[id]
	delete(l.aside, id)
	return place, ok
}

// quiet says that all packets up to id were received and have gone on. last is read first: whatever it covers is in out by then.
func (l *ledger) quiet(id uint32) bool { return int32(l.last.Load()-id) >= 0 && l.out.Load() <= 0 }

// Note tells that a packet was received from the queue. One goroutine at a time calls it, in the order of ids.
func (t *Table) Note(id uint32, data []byte) { t.ledger.add(id, t.PlaceOf(data)) }

// Done tells that the kernel has been told of packets, so that they have gone on, or ended.
func (t *Table) Done(ids []uint32) {
	for _, id := range ids {
		if place, ok := t.ledger.take(id); ok {
			atomic.AddUint32(&t.at(place).completed, 1)
			t.ledger.out.Add(-1) // when it is counted: who sees none out sees all counts
		}
	}
	if t.mender.waiting.Load() && t.ledger.quiet(t.mender.until.Load()) {
		t.mend()
	}
}
