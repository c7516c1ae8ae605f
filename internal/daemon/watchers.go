package daemon

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

// verdictsPerSec bounds the lines about packets that were dropped. Whoever wants all reads the counters, or traces.
const verdictsPerSec = 10

// watchers are those who look at live packets: subscribers of the control API, and the log if it is to tell of drops. While there is
// none the processor does not call, and packets cost nothing more.
type watchers struct {
	s       *Session
	wanted  []uint64 // by handle, whose worker alone uses it: which traces want the packet at hand, by place
	refused atomic.Uint64

	mu    sync.Mutex // guards all below
	over  bool
	feeds []*feed
	seen  atomic.Pointer[view] // what workers go by
}

// view is who looks, as long as nobody comes or goes.
type view struct {
	feeds []*feed
	log   *verdictLog // nil: drops are not logged
}

// feed is one subscriber.
type feed struct {
	filter  *filter.Program // nil: everything
	verdict string          // empty: any
	count   atomic.Int64    // packets that are still wanted; negative: no end
	missed  atomic.Uint64   // since the last that was told

	traces chan *control.Trace // nil: it wants packets
	pace   *rate.Limiter       // of traces

	packets chan pcapdrv.Record // nil: it wants traces
	waiting atomic.Int64        // bytes of those
}

func (w *watchers) init(s *Session) {
	w.s = s
	w.wanted = make([]uint64, len(s.handles))
	w.refresh()
}

// refresh tells the processor who looks.
func (w *watchers) refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &view{feeds: slices.Clone(w.feeds)}
	if w.s.log.wants(evDropped) {
		v.log = &verdictLog{log: w.s.log, pace: rate.NewLimiter(verdictsPerSec, verdictsPerSec)}
	}
	w.seen.Store(v)
	if len(v.feeds) == 0 && v.log == nil {
		w.s.proc.Observe(nil)
		return
	}
	w.s.proc.Observe(w)
}

// Wants says whether a trace wants the packet explained.
func (w *watchers) Wants(handle int, p *divertdrv.Packet) bool {
	mask := uint64(0)
	for i, f := range w.seen.Load().feeds {
		if f.traces == nil || !f.matches(p) {
			continue
		}
		if f.count.Load() == 0 || !f.pace.Allow() {
			f.missed.Add(1)
			continue
		}
		mask |= 1 << i
	}
	w.wanted[handle] = mask
	return mask != 0
}

// Judged hands a packet to those who want it.
func (w *watchers) Judged(handle int, p *divertdrv.Packet, o processor.Outcome, x *processor.Explanation) {
	v := w.seen.Load()
	if v.log != nil && o.Fate == processor.Dropped {
		v.log.tell(handle, p, &o)
	}
	for i, f := range v.feeds {
		switch {
		case f.verdict != "" && f.verdict != o.Fate.String():
		case f.packets != nil && f.matches(p):
			f.record(p, &o)
		case f.traces != nil && x != nil && w.wanted[handle]&(1<<i) != 0:
			f.trace(handle, x)
		}
	}
}

func (f *feed) matches(p *divertdrv.Packet) bool {
	return f.filter == nil || f.filter.Layer() == p.Addr.Layer() && f.filter.Match(p.Addr, p.Data, p.Headers())
}

// take counts a packet; false: there were enough.
func (f *feed) take() bool {
	for {
		n := f.count.Load()
		if n == 0 {
			return false
		}
		if n < 0 || f.count.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

func (f *feed) trace(handle int, x *processor.Explanation) {
	if !f.take() {
		return
	}
	t := &control.Trace{Time: time.Now(), Handle: handle, Missed: f.missed.Swap(0), Explanation: *x}
	select {
	case f.traces <- t:
	default:
		f.missed.Add(t.Missed + 1)
		f.giveBack()
	}
}

// giveBack wants another packet for one that found no room.
func (f *feed) giveBack() {
	for {
		n := f.count.Load()
		if n < 0 || f.count.CompareAndSwap(n, n+1) {
			return
		}
	}
}

// record copies a packet for a subscriber, as it goes on, or was when it was dropped.
func (f *feed) record(p *divertdrv.Packet, o *processor.Outcome) {
	if !f.take() {
		return
	}
	size := int64(len(p.Data))
	if f.waiting.Add(size) > control.DumpQueue {
		f.lose(size)
		return
	}
	r := pcapdrv.Record{
		Time: p.Addr.Timestamp, Data: slices.Clone(p.Data), WireLen: len(p.Data), Link: pcapdrv.LinkRaw, Direction: pcapdrv.Inbound,
		Comment: remark(o),
	}
	if p.Addr.Outbound() {
		r.Direction = pcapdrv.Outbound
	}
	select {
	case f.packets <- r:
	default:
		f.lose(size)
	}
}

// remark says what became of a packet.
func remark(o *processor.Outcome) string {
	switch {
	case o.Fate != processor.Dropped:
		return o.Fate.String()
	case o.Filter == "":
		return fmt.Sprintf("drop (%v)", o.Cause)
	}
	return fmt.Sprintf("drop (%v) by filter %q at %v", o.Cause, o.Filter, o.Layer)
}

func (f *feed) lose(size int64) {
	f.waiting.Add(-size)
	f.missed.Add(1)
	f.giveBack()
}

// verdictLog writes lines about packets that were dropped.
type verdictLog struct {
	log    Log
	pace   *rate.Limiter
	missed atomic.Uint64
}

func (v *verdictLog) tell(handle int, p *divertdrv.Packet, o *processor.Outcome) {
	if !v.pace.Allow() {
		v.missed.Add(1)
		return
	}
	fields := []zap.Field{
		zap.Int(keyHandle, handle), zap.String(keyPacket, processor.Describe(p)), zap.String(keyCause, o.Cause.String()),
	}
	if o.Filter != "" {
		fields = append(fields, zap.String(keyFilter, o.Filter), zap.String(keyLayer, o.Layer.String()))
	}
	if n := v.missed.Swap(0); n > 0 {
		fields = append(fields, zap.Uint64(keyMissed, n))
	}
	v.log.tell(evDropped, fields...)
}
