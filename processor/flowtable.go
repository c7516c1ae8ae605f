package processor

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Timeouts are how long a flow may be silent until it is over; 0 stands for the default.
type Timeouts struct {
	Opening  time.Duration // TCP before the handshake is complete; 30 s
	TCP      time.Duration // TCP after it; 2 h
	Closed   time.Duration // TCP after both sides closed: strays are still told from a new flow; 10 s
	Datagram time.Duration // everything else; 60 s, as ALE has it
}

func (t Timeouts) filled() Timeouts {
	fill := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	fill(&t.Opening, 30*time.Second)
	fill(&t.TCP, 2*time.Hour)
	fill(&t.Closed, 10*time.Second)
	fill(&t.Datagram, time.Minute)
	return t
}

// flowTable is one worker's bounded table, an open-addressed index over a slab that never moves. An entry that was not used
// lately gives way to a new flow (CLOCK); one that packets wait in never does.
//
// Lookups cost cache misses, so they are what is saved: a slot is 8 bytes, half a tag that keeps false candidates from being
// looked at, half an index; the entry itself is two lines.
type flowTable struct {
	slots    []slot // a power of two, at least twice the entries
	slab     []Flow
	used     int     // entries of slab that were ever in use
	free     []int32 // entries that were given back
	hand     int     // of the clock
	swept    int     // where the next sweep begins
	order    *order
	timeouts Timeouts
	panics   *atomic.Uint64 // of callouts that are told of a flow's end
	recall   func(f *Flow)  // takes a judged flow back from the kernel
	touched  toucher

	live    atomic.Int64
	opened  atomic.Uint64
	evicted atomic.Uint64
	idled   atomic.Uint64

	mu       sync.Mutex   // guards changes of the flows' lists of contexts
	contexts atomic.Int64 // of all flows
}

// slot is 0 where there is nothing, else the upper half of the hash above the entry's number plus one.
type slot uint64

func slotOf(hash uint64, entry int32) slot { return slot(hash&^0xffffffff | uint64(entry+1)) }

func (s slot) entry() int32 { return int32(uint32(s)) - 1 }

func newFlowTable(flows int, o *order, t Timeouts, panics *atomic.Uint64) *flowTable {
	size := 1 << bits.Len(uint(2*flows-1))
	return &flowTable{slots: make([]slot, size), slab: make([]Flow, flows), order: o, timeouts: t.filled(), panics: panics}
}

// find returns the packet's flow, whether it is new, and whether the packet's source is the High endpoint of its key; nil if the
// packet cannot be decoded, or there is no room.
func (t *flowTable) find(data []byte, h *divertdrv.Headers, now int64) (f *Flow, fresh, srcHigh bool) {
	var key wire.FlowKey
	srcHigh, ok := h.ReadFlow(data, &key)
	if !ok {
		return nil, false, false
	}
	hash := key.Hash(t.order.seed)
	if f = t.lookup(&key, hash); f != nil {
		if t.over(f, h, data, now) {
			if now-f.seen > t.patience(f) {
				t.idled.Add(1)
			}
			t.end(f)
			t.restart(f)
			fresh = true
		}
	} else if f = t.claim(&key, hash); f != nil {
		fresh = true
	} else {
		return nil, false, srcHigh
	}
	f.seen = now
	f.flags |= flowUsed
	return f, fresh, srcHigh
}

func (t *flowTable) lookup(key *wire.FlowKey, hash uint64) *Flow {
	mask := uint64(len(t.slots) - 1)
	for at := hash & mask; t.slots[at] != 0; at = (at + 1) & mask {
		s := t.slots[at]
		if uint64(s)>>32 != hash>>32 {
			continue
		}
		if f := &t.slab[s.entry()]; f.key == *key {
			return f
		}
	}
	return nil
}

// over says whether the flow in an entry ended before the packet: it was silent for too long, or is closed and opened anew. One
// that packets wait in goes on. What only fragments and ICMP errors were seen of gives way to the first packet that ALE is shown,
// or else a fragment would open the way for all that follows it.
func (t *flowTable) over(f *Flow, h *wire.Headers, pkt []byte, now int64) bool {
	shown := forALE(h, pkt)
	if f.flags&flowUntold != 0 && shown {
		return true
	}
	return f.pending.Load() == 0 && (now-f.seen > t.patience(f) && f.flags&flowJudged == 0 || shown && f.reopens(h, pkt))
}

// patience is how long the flow may be silent, in nanoseconds.
func (t *flowTable) patience(f *Flow) int64 {
	switch {
	case f.key.Proto() != wire.ProtoTCP || f.flags&flowUntold != 0:
		return int64(t.timeouts.Datagram)
	case f.state == flowClosed:
		return int64(t.timeouts.Closed)
	case f.state == flowOpen:
		return int64(t.timeouts.TCP)
	}
	return int64(t.timeouts.Opening)
}

// claim makes an entry for a key that has none; nil: packets wait in every entry.
func (t *flowTable) claim(key *wire.FlowKey, hash uint64) *Flow {
	i := t.vacate()
	if i < 0 {
		return nil
	}
	f := &t.slab[i]
	f.key, f.hash = *key, uint32(hash)
	f.queue, f.table = t.order.home(hash), t
	t.restart(f)
	mask := uint64(len(t.slots) - 1)
	at := hash & mask
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = slotOf(hash, i)
	t.live.Add(1)
	return f
}

// restart makes an entry that of a new flow with the same key.
func (t *flowTable) restart(f *Flow) {
	f.state, f.flags, f.policy = 0, 0, 0
	f.refused.Store(0)
	t.opened.Add(1)
}

// vacate returns a free entry, made free if need be; -1 if packets wait in every one.
func (t *flowTable) vacate() int32 {
	if last := len(t.free) - 1; last >= 0 {
		i := t.free[last]
		t.free = t.free[:last]
		return i
	}
	if t.used < len(t.slab) {
		t.used++
		return int32(t.used - 1)
	}
	for range 2 * len(t.slab) {
		t.hand = (t.hand + 1) % len(t.slab)
		f := &t.slab[t.hand]
		if f.pending.Load() != 0 {
			continue
		}
		if f.flags&flowUsed != 0 {
			f.flags &^= flowUsed
			continue
		}
		t.evicted.Add(1)
		t.remove(f, int32(t.hand))
		return int32(t.hand)
	}
	return -1
}

// end ends the flow, if it is not over.
func (t *flowTable) end(f *Flow) {
	if f.flags&flowJudged != 0 {
		t.recall(f)
	}
	f.dropContexts(func(*flowContext) bool { return true })
	f.state = flowClosed
}

// remove ends the flow and takes its entry out of the index. What follows it in its run of slots moves up, so that no gap cuts a
// run in two.
func (t *flowTable) remove(f *Flow, i int32) {
	t.end(f)
	mask := uint64(len(t.slots) - 1)
	at := uint64(f.hash) & mask
	for t.slots[at].entry() != i {
		at = (at + 1) & mask
	}
	for next := (at + 1) & mask; t.slots[next] != 0; next = (next + 1) & mask {
		home := uint64(t.slab[t.slots[next].entry()].hash) & mask
		if (next-home)&mask >= (next-at)&mask { // it may stand at the gap
			t.slots[at] = t.slots[next]
			at = next
		}
	}
	t.slots[at] = 0
	f.key = wire.FlowKey{}
	t.live.Add(-1)
}

// sweep ends flows that were silent for too long, looking at n entries.
func (t *flowTable) sweep(now int64, n int) {
	for range min(n, t.used) {
		if t.swept++; t.swept >= t.used {
			t.swept = 0
		}
		f := &t.slab[t.swept]
		if f.key == (wire.FlowKey{}) || f.pending.Load() != 0 || now-f.seen <= t.patience(f) {
			continue
		}
		if f.flags&flowJudged != 0 { // the kernel knows whether it is silent: the next packet, or the next sweep, tells
			t.recall(f)
			f.seen = now
			continue
		}
		t.idled.Add(1)
		t.remove(f, int32(t.swept))
		t.free = append(t.free, int32(t.swept))
	}
}

// each calls do for every flow that is not over.
func (t *flowTable) each(do func(f *Flow)) {
	for i := range t.slab[:t.used] {
		if f := &t.slab[i]; f.key != (wire.FlowKey{}) && f.state != flowClosed {
			do(f)
		}
	}
}

// addTo adds what the table counted. It may be called from any goroutine.
func (t *flowTable) addTo(s *Stats) {
	s.Flows += uint64(t.live.Load())
	s.FlowsOpened += t.opened.Load()
	s.FlowsEvicted += t.evicted.Load()
	s.FlowsIdle += t.idled.Load()
}
