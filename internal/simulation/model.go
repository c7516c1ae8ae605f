package simulation

import (
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// model is the contract of divertdrv and of a simulated host, written as plainly as can be: slices, no locks, no memory shared,
// everything looked for anew each time. It says what must come out.
//
// What a fault does is not foretold but learned from the driver (the packet was refused, the driver died), and allowed only in
// programs that have such faults; all that follows from it is the model's word again.
type model struct {
	host    host
	now     func() time.Time
	handles []*handle // every one ever opened, oldest first
	parts   []*parts  // packets that come in pieces

	ended  bool // no more traffic
	closed bool // the host is
	dead   bool // the driver is

	exits []exit // what left since it was last compared
	stats simdrv.Stats

	endpoints                      uint64 // sockets that were asked for
	refusedPassed, refusedInjected uint64 // of stats.Refused: by a handle
}

// flight is a packet on its way. Its data is never changed; a packet that is changed becomes another flight.
type flight struct {
	addr  divertdrv.Address // but for the time
	data  []byte
	clean bool // all of it is as one of ours is made: it may be edited
}

// exit is a packet that left, to the wire or to the host.
type exit struct {
	wire bool
	addr divertdrv.Address
	data []byte
}

// handle is what the contract knows of one.
type handle struct {
	number   int // in the order of opening
	layer    divertdrv.Layer
	priority int
	flags    divertdrv.Flags
	overload divertdrv.Overload
	filter   *divertdrv.Filter
	about    addr.Reflect

	recvShut, sendShut bool
	gone               bool // at the driver: closed, or the driver died
	closed             bool // by its owner

	limit   [3]uint64 // by Param
	queue   []waiting
	batches []*batch
	held    []*held // oldest first
	stats   divertdrv.Stats

	real real
}

type waiting struct {
	flight
	since time.Time
	copy  bool // the packet itself went on
}

// received is a packet that was read: in a batch, or held.
type received struct {
	flight
	copy bool
	cut  bool // its end is missing
}

type batch struct {
	packets []inBatch
	real    *divertdrv.Batch
}

type inBatch struct {
	received
	mark divertdrv.Mark
	why  divertdrv.Cause
	held bool
}

type held struct {
	received
	owner     *handle
	byDefault divertdrv.Mark
	deadline  time.Time // zero: none
	number    int
	done      bool
	real      *divertdrv.Held
}

func (h *handle) is(f divertdrv.Flags) bool { return h.flags&f != 0 }

// ofEvents: what the handle sees are no packets.
func (h *handle) ofEvents() bool { return h.layer > divertdrv.NetworkForward }

func (h *handle) takes() bool { return !h.gone && !h.recvShut && !h.is(divertdrv.SendOnly) }

// above: higher priorities see a packet first, among equal ones the newest.
func (h *handle) above(o *handle) bool {
	return h.priority > o.priority || h.priority == o.priority && h.number > o.number
}

// below returns the handles of a layer that are asked after from; nil: all. The highest comes first.
func (m *model) below(l divertdrv.Layer, from *handle) (list []*handle) {
	for _, h := range m.handles {
		if h.layer == l && !h.gone && (from == nil || from.above(h)) {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *handle) int {
		if a.above(b) {
			return -1
		}
		return 1
	})
	return list
}

// end: nothing enters any more.
func (m *model) end() { m.ended = true }

// shutdown is of one handle.
func (h *handle) shutdown(how divertdrv.Shutdown) {
	h.recvShut = h.recvShut || how&divertdrv.ShutdownRecv != 0
	h.sendShut = h.sendShut || how&divertdrv.ShutdownSend != 0
}

// leaveDriver is the end of a handle at the driver: what nobody read goes on its way, events and copies are over.
func (m *model) leaveDriver(h *handle) {
	if h.gone {
		return
	}
	for len(h.queue) > 0 {
		if h.expire(m.now()); len(h.queue) == 0 {
			break
		}
		w := h.queue[0]
		if h.is(divertdrv.Sniff) || h.ofEvents() {
			h.lose(causeAbandoned)
		} else {
			_ = m.walk(h.layer, h, w.flight) // the wire's refusal is counted there
		}
		h.queue = h.queue[1:]
	}
	h.gone = true
	m.reflect(h, addr.EventClosed)
}

// die: a crash of the driver.
func (m *model) die() {
	m.dead = true
	for _, h := range m.handles {
		m.leaveDriver(h)
	}
}

// close ends the host: handles by layer and rank.
func (m *model) close() {
	m.ended, m.closed = true, true
	for l := range divertdrv.Layer(addr.Layers) {
		for _, h := range m.below(l, nil) {
			m.leaveDriver(h)
		}
	}
}
