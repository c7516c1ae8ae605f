package stack

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// overhead is what the driver's own header adds to each packet in the account of QueueSize (WinDivert 2.2 on x64).
const overhead = 63

// queue is a handle's bounded queue. Its three limits are those of WinDivert: on too many packets or bytes the oldest goes,
// and what waited too long goes when somebody looks (windivert.html, WinDivertSetParam). What the overload policy says
// otherwise, and packets that are kept, are told apart in admit.
type queue struct {
	fifo
	size     uint64 // accounted bytes
	timed    int    // packets that may expire: those that are not kept
	overload divertdrv.Overload
	limit    [3]uint64 // by Param: QueueLength, QueueTime (milliseconds), QueueSize

	lost   uint64
	lostBy [reason.Max]uint64
}

func newQueue(o divertdrv.Overload) queue {
	q := queue{overload: o}
	for p := range q.limit {
		_, _, q.limit[p], _ = addr.Param(p).Range()
	}
	return q
}

// admission is what became of a packet at the queue's door.
type admission uint8

const (
	queued   admission = iota
	lost               // counted here
	passesBy           // Overload Open: it walks on
)

// admit queues a copy of the packet or says why not. Packets that are kept are always queued: the source is pulled only while
// there is room, and what a handle above lets go is bounded by what it was given.
func (q *queue) admit(a *divertdrv.Address, data []byte, now int64, t token) admission {
	q.expire(now)
	account := uint64(len(data) + overhead)
	for !t.kept() {
		why, over := q.over(account)
		if !over {
			break
		}
		if q.overload == divertdrv.OverloadOpen {
			return passesBy
		}
		never := account > q.limit[addr.QueueSize] // it would not fit into an empty queue
		if q.overload == divertdrv.OverloadClosed || never || !q.shedOldest(why) {
			q.lose(why)
			return lost
		}
	}
	q.push(a, data, now, t)
	q.size += account
	if !t.kept() {
		q.timed++
	}
	return queued
}

// over says whether one more packet is too much, and by which limit.
func (q *queue) over(account uint64) (why reason.Cause, yes bool) {
	switch {
	case uint64(q.n)+1 > q.limit[addr.QueueLength]:
		return reason.QueueLength, true
	case q.size+account > q.limit[addr.QueueSize]:
		return reason.QueueSize, true
	}
	return 0, false
}

// full says that the source must wait.
func (q *queue) full() bool {
	return uint64(q.n) >= q.limit[addr.QueueLength] || q.size >= q.limit[addr.QueueSize]
}

// shedOldest makes room; false: there is nothing that may go.
func (q *queue) shedOldest(why reason.Cause) bool {
	if q.n == 0 {
		return false
	}
	if e, _ := q.oldest(); e.token.kept() {
		return false
	}
	q.lose(why)
	q.remove()
	return true
}

// expire sheds from the head what waited longer than QueueTime.
func (q *queue) expire(now int64) {
	for q.n > 0 && q.timed > 0 {
		e, _ := q.oldest()
		if e.token.kept() || now-e.since <= int64(q.limit[addr.QueueTime])*1e6 {
			return
		}
		q.lose(reason.QueueTime)
		q.remove()
	}
}

// remove takes the oldest packet out.
func (q *queue) remove() {
	e, _ := q.oldest()
	q.size -= uint64(e.n + overhead)
	if !e.token.kept() {
		q.timed--
	}
	q.pop()
}

func (q *queue) lose(why reason.Cause) {
	q.lost++
	q.lostBy[why]++
}
