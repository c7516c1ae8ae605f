package simdrv

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/flows"
	"github.com/weirnet/weir/internal/clock"
)

// follower makes the FLOW layer of a Stack. All of it runs with the engine's lock held.
type follower struct {
	stack   *Stack
	on      bool // from the first who may want to know
	stopped bool
	table   *flows.Table
	timer   clock.Timer // runs out at due; nil: none
	due     int64
}

func newFollower(s *Stack) follower {
	return follower{stack: s, on: s.config.Flows, due: flows.Never, table: flows.New(flows.Config{
		Max:   s.config.FlowsMax,
		Owner: s.ownFlow,
		Tell:  s.tellFlow,
	})}
}

// tellFlow tells of a flow those handles that were open when it was established: WinDivert too knows nothing of older ones.
func (s *Stack) tellFlow(a *divertdrv.Address, among uint64) {
	s.engine.Emit(a, among) // a flow cannot be blocked
}

func (f *follower) start() { f.on = true }

// stop ends it for good: no timer outlives the Stack.
func (f *follower) stop() {
	f.on, f.stopped = false, true
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// ownFlow finds whose a flow is, and notes how many handles were opened before it.
func (s *Stack) ownFlow(f *addr.Flow) (note uint64) {
	s.sockets.own(f)
	return s.engine.Opened()
}

// see is told of packets that the host emits or gets.
func (f *follower) see(a *divertdrv.Address, data []byte, outbound bool) {
	if !f.on || f.stopped {
		return
	}
	f.table.See(a, data, outbound, f.stack.now().UnixNano())
	f.wait()
}

// endOf ends the flows of a socket that closes.
func (f *follower) endOf(endpoint uint64) {
	f.table.EndOf(endpoint, f.stack.now().UnixNano())
}

// wait sets the timer to when the next flow may have been silent for too long.
func (f *follower) wait() {
	due := f.table.Due()
	if due >= f.due {
		return
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	f.due = due
	f.timer = f.stack.config.Clock.AfterFunc(time.Duration(due-f.stack.now().UnixNano()), f.expire)
}

// expire is the timer's, without the lock.
func (f *follower) expire() {
	f.stack.engine.Do(func() {
		if f.stopped {
			return
		}
		f.due, f.timer = flows.Never, nil
		f.table.Expire(f.stack.now().UnixNano())
		f.wait()
	})
}
