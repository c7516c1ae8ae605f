package stack_test

import (
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// model is the contract, written as plainly as it can be: slices, no locks, no sharing of memory. It says what must come out.
type model struct {
	handles []*modelHandle // every one ever opened
	now     time.Duration
	ended   bool
	left    []int
}

type modelHandle struct {
	real     *divertdrv.Handle
	priority int
	age      int // when it was opened; the newest is the highest
	filter   string
	flags    divertdrv.Flags
	overload divertdrv.Overload

	recvShut, sendShut, closed bool

	queue   []modelPacket
	batches []*modelBatch
	held    []*modelHeld // oldest first
	stats   divertdrv.Stats
}

type modelPacket struct {
	n     int
	since time.Duration
}

type modelBatch struct {
	real    *divertdrv.Batch
	numbers []int
	held    []bool
}

type modelHeld struct {
	real      *divertdrv.Held
	owner     *modelHandle
	n         int
	byDefault divertdrv.Mark
	deadline  time.Duration // 0: none
	order     int
}

const (
	modelLength  = 32
	modelTime    = 100 * time.Millisecond
	modelHoldMax = 5
)

func (h *modelHandle) is(f divertdrv.Flags) bool { return h.flags&f != 0 }

func (h *modelHandle) matches(n int) bool {
	switch h.filter {
	case "true":
		return true
	case "tcp":
		return n%2 == 1
	case "udp":
		return n%2 == 0
	}
	return false
}

// lower returns the open handles below from, nil for all of them, highest first.
func (m *model) lower(from *modelHandle) (list []*modelHandle) {
	for _, h := range m.handles {
		if !h.closed && h != from && (from == nil || from.above(h)) {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *modelHandle) int {
		if a.above(b) {
			return -1
		}
		return 1
	})
	return list
}

func (h *modelHandle) above(o *modelHandle) bool {
	return h.priority > o.priority || h.priority == o.priority && h.age > o.age
}

func (m *model) walk(from *modelHandle, n int) {
	for _, h := range m.lower(from) {
		switch {
		case h.recvShut || h.is(divertdrv.SendOnly) || !h.matches(n):
		case h.is(divertdrv.DropAll):
			h.stats.Received++
			h.stats.Dropped[reason.DropHandle]++
			return
		case h.is(divertdrv.Sniff):
			m.admit(h, n)
		case m.admit(h, n):
			return
		}
	}
	m.left = append(m.left, n)
}

// admit says whether h has the packet, be it lost.
func (m *model) admit(h *modelHandle, n int) bool {
	m.expire(h)
	if len(h.queue) >= modelLength {
		switch {
		case h.overload == divertdrv.OverloadOpen && !h.is(divertdrv.Sniff):
			return false
		case h.overload != divertdrv.OverloadShedOldest:
			h.lose(reason.QueueLength)
			return true
		}
		h.queue = h.queue[1:]
		h.lose(reason.QueueLength)
	}
	h.queue = append(h.queue, modelPacket{n, m.now})
	return true
}

func (m *model) fresh(h *modelHandle) bool {
	return slices.ContainsFunc(h.queue, func(p modelPacket) bool { return m.now-p.since <= modelTime })
}

func (m *model) expire(h *modelHandle) {
	for len(h.queue) > 0 && m.now-h.queue[0].since > modelTime {
		h.queue = h.queue[1:]
		h.lose(reason.QueueTime)
	}
}

func (h *modelHandle) lose(why divertdrv.Cause) {
	h.stats.Lost++
	h.stats.LostBy[why]++
}

// reachable says that a packet above may still come to h.
func (m *model) reachable(h *modelHandle) bool {
	for _, o := range m.handles {
		out := len(o.held)
		for _, b := range o.batches {
			for _, held := range b.held {
				if !held {
					out++
				}
			}
		}
		if !o.closed && o.above(h) && !o.is(divertdrv.Sniff) && len(o.queue)+out > 0 {
			return true
		}
	}
	return false
}

// judge books a packet's mark, of a batch or held.
func (m *model) judge(h *modelHandle, n int, mark divertdrv.Mark, why divertdrv.Cause) {
	fail := reason.Cause(0)
	switch {
	case mark != divertdrv.Pass:
	case h.closed:
		fail = reason.Abandoned
	case h.is(divertdrv.Sniff):
	case h.is(divertdrv.RecvOnly):
		fail = reason.SendFailed
	case h.sendShut:
		fail = reason.Shutdown
	default:
		m.walk(h, n)
	}
	if fail != 0 {
		mark, why = divertdrv.Drop, fail
	}
	if mark == divertdrv.Pass {
		h.stats.Passed++
	} else {
		h.stats.Dropped[why]++
	}
}

func (m *model) release(x *modelHeld, mark divertdrv.Mark, why divertdrv.Cause) {
	h := x.owner
	h.held = slices.DeleteFunc(h.held, func(o *modelHeld) bool { return o == x })
	h.stats.Held--
	m.judge(h, x.n, mark, why)
}

// advance moves the time and lets deadlines pass, each at its own time.
func (m *model) advance(d time.Duration) {
	end := m.now + d
	for {
		var next *modelHeld
		for _, h := range m.handles {
			for _, x := range h.held {
				if x.deadline != 0 && x.deadline <= end && (next == nil || x.sooner(next)) {
					next = x
				}
			}
		}
		if next == nil {
			break
		}
		m.now = next.deadline
		m.release(next, next.byDefault, reason.Expired)
	}
	m.now = end
}

func (x *modelHeld) sooner(o *modelHeld) bool {
	return x.deadline < o.deadline || x.deadline == o.deadline && x.order < o.order
}

func (m *model) close(h *modelHandle) {
	for len(h.held) > 0 {
		m.release(h.held[0], h.held[0].byDefault, reason.Abandoned)
	}
	m.expire(h)
	for _, p := range h.queue {
		if h.is(divertdrv.Sniff) {
			h.lose(reason.Abandoned)
		} else {
			m.walk(h, p.n)
		}
	}
	h.queue, h.closed = nil, true
}
