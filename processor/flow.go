package processor

import (
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Flow is what a worker remembers of a flow: the packets of both directions with the same addresses, ports and protocol. It is
// valid during Classify and in deferred work; its entry may then go to another flow.
type Flow struct {
	key     wire.FlowKey
	queue   *flowQueue
	used    bool         // since the hand of the clock last passed
	pending atomic.Int32 // jobs that later packets wait behind; while it is not 0 the entry stays
	jobs    jobList      // guarded by queue.mu
	ready   bool         // in queue.ready; guarded by queue.mu
}

// Key names the flow.
func (f *Flow) Key() wire.FlowKey { return f.key }

// flowTable is one worker's bounded table. An entry that was not used lately gives way to a new flow (CLOCK); one that packets
// wait in never does.
type flowTable struct {
	byKey   map[wire.FlowKey]int32
	slab    []Flow
	used    int // entries of slab that were ever in use
	hand    int
	evicted atomic.Uint64
	order   *order
}

func newFlowTable(flows int, o *order) *flowTable {
	return &flowTable{byKey: make(map[wire.FlowKey]int32, flows), slab: make([]Flow, flows), order: o}
}

// find returns the packet's flow; nil if it cannot be decoded.
func (t *flowTable) find(data []byte, h *divertdrv.Headers) *Flow {
	var key wire.FlowKey
	if _, ok := h.ReadFlow(data, &key); !ok {
		return nil
	}
	i, known := t.byKey[key]
	if !known {
		if i = t.vacate(); i < 0 {
			return nil
		}
		t.claim(i, key)
	}
	f := &t.slab[i]
	f.used = true
	return f
}

// vacate returns a free entry, made free if need be; -1 if packets wait in every one.
func (t *flowTable) vacate() int32 {
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
		if f.used {
			f.used = false
			continue
		}
		delete(t.byKey, f.key)
		t.evicted.Add(1)
		return int32(t.hand)
	}
	return -1
}

func (t *flowTable) claim(i int32, key wire.FlowKey) {
	f := &t.slab[i]
	f.key = key
	f.queue = t.order.home(key)
	t.byKey[key] = i
}
