package processor

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// FlowInfo is what is known of a flow at one moment.
type FlowInfo struct {
	Key                 wire.FlowKey
	Source, Destination wire.Endpoint // of its first packet
	Handle              int           // in Config.Handles
	Outbound            bool          // its first packet left this host
	Midstream           bool          // TCP, and its beginning was not seen
	State               string        // opening, answered, established or closed
	Refused             bool          // its packets are dropped
	Cause               divertdrv.Cause
	Packets, Bytes      uint64        // of both directions, from the IP header
	Age                 time.Duration // since its first packet, to the second
	Idle                time.Duration // since its last packet
	Waiting             int           // packets and calls that wait in it
}

// flowsAtOnce bounds how long packets wait for somebody who looks at flows.
const flowsAtOnce = 512

// Flows calls do with every flow that is remembered, until it returns false; closed ones too, which are kept for a while. It may be
// called from any goroutine. The list is no snapshot: flows come and go meanwhile.
func (p *Processor) Flows(do func(*FlowInfo) bool) {
	buf := make([]FlowInfo, 0, flowsAtOnce)
	for _, w := range p.workers {
		for from, more := 0, true; more; {
			buf, from, more = w.listFlows(buf[:0], from)
			for i := range buf {
				if !do(&buf[i]) {
					return
				}
			}
		}
	}
}

// listFlows adds what it finds in some entries of the worker's table, and says where to go on.
func (w *worker) listFlows(list []FlowInfo, from int) (_ []FlowInfo, next int, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next = min(from+flowsAtOnce, w.flows.used)
	now := w.time()
	for i := from; i < next; i++ {
		if f := &w.flows.slab[i]; f.key != (wire.FlowKey{}) {
			list = append(list, f.info(w.handle, now))
		}
	}
	return list, next, next < w.flows.used
}

func (f *Flow) info(handle int, now int64) FlowInfo {
	x := FlowInfo{
		Key: f.key, Source: f.key.Low(), Destination: f.key.High(), Handle: handle,
		Outbound: f.Outbound(), Midstream: f.Midstream(), State: f.state.String(),
		Packets: f.packets, Bytes: f.bytes,
		Age: max(time.Duration(now)-time.Duration(f.opened)*time.Second, 0), Idle: max(time.Duration(now-f.seen), 0),
		Waiting: int(f.pending.Load()),
	}
	if f.flags&flowFromHigh != 0 {
		x.Source, x.Destination = x.Destination, x.Source
	}
	x.Cause, x.Refused = f.refusal()
	return x
}

var stateNames = [...]string{flowOpening: "opening", flowAnswered: "answered", flowOpen: "established", flowClosed: "closed"}

// String returns the state's name.
func (s flowState) String() string {
	if s < flowOpening || s > flowClosed {
		return "new"
	}
	return stateNames[s]
}
