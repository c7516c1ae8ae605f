package drvtest

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

var queueRules = []Rule{
	{"queue/length-sheds-the-oldest", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_LENGTH", []need{needShed, needQueueLength}, queueLength},
	{"queue/size-sheds-the-oldest", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_SIZE", []need{needShed, needQueueSize}, queueSize},
	{"queue/larger-than-the-queue", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_SIZE", []need{needShed, needQueueSize, needJumbo, needInbound}, queueTooLarge},
	{"queue/a-shorter-length-holds-from-the-next-packet", "WinDivert 5.11; divertdrv.Handle.SetParam", []need{needShed, needQueueLength}, queueShorter},
	{"queue/time-sheds-what-waited", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_TIME", []need{needShed, needQueueTime}, queueTimeSheds},
	{"queue/time-is-at-least-that", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_TIME: minimum time", []need{needQueueTime}, queueTimeMinimum},
	{"queue/reading-makes-room", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_LENGTH", []need{needQueueLength}, queueRoom},
	{"queue/losses-are-counted-by-cause", "divertdrv.Stats.LostBy", []need{needShed, needQueueLength, needQueueTime, needLossCounted}, queueLostBy},
	{"queue/each-handle-has-its-own", "WinDivert 5.11", []need{needShed, needQueueLength}, queueOwn},
	{"queue/copies-are-shed-alone", "WinDivert 5.4, WINDIVERT_FLAG_SNIFF", []need{needShed, needQueueLength, needSniff}, queueCopies},
	{"queue/what-passes-above-may-be-shed-below", "WinDivert 5.4, priority", []need{needShed, needQueueLength}, queueBelow},
}

var overloadRules = []Rule{
	{"overload/open-lets-pass", "divertdrv.OverloadOpen", []need{needShed, needQueueLength, needOverOpen}, overloadOpen},
	{"overload/closed-loses-the-newest", "divertdrv.OverloadClosed", []need{needShed, needQueueLength, needOverClosed}, overloadClosed},
}

const (
	shortest  = 32   // the smallest QueueLength that may be set
	queueTime = 1000 // milliseconds: short, and long enough that a machine that is busy does not let fresh packets wait for it
	tooLong   = 1100 * time.Millisecond
)

func (p *probe) set(h *handle, param divertdrv.Param, v uint64) {
	p.Helper()
	if err := h.SetParam(param, v); err != nil {
		p.Fatalf("SetParam(%d, %d): %v", param, v, err)
	}
}

func (p *probe) get(h *handle, param divertdrv.Param) uint64 {
	p.Helper()
	v, err := h.Param(param)
	if err != nil {
		p.Fatalf("Param(%d): %v", param, err)
	}
	return v
}

// lost checks what a handle lost, where the driver counts it.
func (p *probe) lost(h *handle, why divertdrv.Cause, want uint64) {
	p.Helper()
	if p.w.Caps.LossCounted {
		st := h.Stats()
		p.is("lost", st.Lost, want)
		p.is("lost by "+why.String(), st.LostBy[why], want)
	}
}

func queueLength(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueLength, shortest)
	p.send(seq(1, shortest+8)...)
	p.hasLeft()
	p.rest(h, seq(9, shortest+8)...)
	p.lost(h, reason.QueueLength, 8)
}

func queueShorter(p *probe) {
	h := p.open(0, 0)
	p.send(seq(1, shortest+8)...)
	p.set(h, addr.QueueLength, shortest)
	p.send(shortest + 9)
	p.rest(h, seq(10, shortest+9)...)
	p.lost(h, reason.QueueLength, 9)
	p.hasLeft(seq(10, shortest+9)...)
}

// The account of a packet is its length and the driver's own header: 63 bytes in WinDivert 2.2, no more than 1 KiB in any.
func queueSize(p *probe) {
	const size, most = 1400, 65535 / (1400 + 63)
	h := p.open(0, 0)
	p.set(h, addr.QueueSize, 65535)
	for n := 1; n <= 60; n++ {
		p.sendAs(spec{n: n, size: size})
	}
	p.w.Network.Settle()
	var kept []int
	_ = h.Shutdown(divertdrv.ShutdownRecv)
	for b := newBatch(); p.recv(h, b) == nil; p.complete(h, b) {
		for i := range b.Packets() {
			n, _ := number(b.Packets()[i].Data)
			kept = append(kept, n)
		}
	}
	if len(kept) > most || len(kept) < 65535/(size+1024) {
		p.Errorf("%d packets of %d bytes were kept in 65,535 bytes", len(kept), size)
	}
	for i, n := range kept {
		if n != 60-len(kept)+1+i {
			p.Fatalf("kept %v, which are not the newest in order", kept)
		}
	}
	p.lost(h, reason.QueueSize, uint64(60-len(kept)))
}

// What would not fit into an empty queue is lost itself; what waits is not shed for it.
func queueTooLarge(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueSize, 65535)
	p.send(1)
	p.sendAs(spec{way: Inbound, n: 2, size: 65535})
	p.rest(h, 1)
	p.hasLeft(1)
	p.lost(h, reason.QueueSize, 1)
}

func queueTimeSheds(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueTime, queueTime)
	p.send(1, 2)
	p.advance(tooLong)
	p.send(3)
	p.rest(h, 3)
	p.hasLeft(3)
	p.lost(h, reason.QueueTime, 2)
}

func queueTimeMinimum(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueTime, 16000)
	p.send(1)
	p.advance(150 * time.Millisecond)
	p.rest(h, 1)
	p.hasLeft(1)
}

func queueRoom(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueLength, shortest)
	const row = shortest - 1
	for round := range 5 {
		first := round * row
		p.send(seq(first, first+row-1)...)
		p.pass(h, seq(first, first+row-1)...)
	}
	p.hasLeft(seq(0, 5*row-1)...)
	st := h.Stats()
	p.is("lost", st.Lost, 0)
}

func queueLostBy(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueLength, shortest)
	p.set(h, addr.QueueTime, queueTime)
	p.send(seq(1, shortest+3)...)
	p.advance(tooLong)
	p.rest(h)
	st := h.Stats()
	p.is("lost by length", st.LostBy[reason.QueueLength], 3)
	p.is("lost by time", st.LostBy[reason.QueueTime], shortest)
	p.is("lost", st.Lost, shortest+3)
	p.is("received", st.Received, 0)
}

func queueOwn(p *probe) {
	p.openAt(filterAll+" and ipv6", divertdrv.Network, divertdrv.Options{Priority: 1})
	four := p.openAt(filterAll+" and ip", divertdrv.Network, divertdrv.Options{})
	six := p.handles[0]
	p.set(six, addr.QueueLength, shortest)
	for n := range 3 * shortest {
		p.sendAs(spec{n: n, ipv6: n%2 == 1})
	}
	p.w.Network.Settle()
	p.lost(four, reason.QueueLength, 0)
	p.lost(six, reason.QueueLength, shortest/2)
	p.is("length of the other queue", p.get(four, addr.QueueLength), 4096)
}

func queueCopies(p *probe) {
	copies := p.open(0, divertdrv.Sniff)
	p.set(copies, addr.QueueLength, shortest)
	p.send(seq(1, shortest+5)...)
	p.hasLeft(seq(1, shortest+5)...)
	p.rest(copies, seq(6, shortest+5)...)
	p.lost(copies, reason.QueueLength, 5)
}

// For whoever lets packets pass that is no failure: they went on, and the lower handle lost them.
func queueBelow(p *probe) {
	high, low := p.open(1, 0), p.open(0, 0)
	p.set(low, addr.QueueLength, shortest)
	p.send(seq(1, shortest+4)...)
	p.pass(high, seq(1, shortest+4)...)
	st := high.Stats()
	p.is("passed", st.Passed, shortest+4)
	p.rest(low, seq(5, shortest+4)...)
	p.lost(low, reason.QueueLength, 4)
	p.hasLeft(seq(5, shortest+4)...)
}

// What has no room goes on undecided, to lower handles.
func overloadOpen(p *probe) {
	h := p.openAt(filterAll, divertdrv.Network, divertdrv.Options{Overload: divertdrv.OverloadOpen})
	low := p.open(-1, 0)
	p.set(h, addr.QueueLength, shortest)
	p.send(seq(1, shortest+3)...)
	p.pass(low, seq(shortest+1, shortest+3)...)
	p.hasLeft(seq(shortest+1, shortest+3)...)
	p.restBy(h, dropAll, seq(1, shortest)...)
	p.lost(h, reason.QueueLength, 0)
}

func overloadClosed(p *probe) {
	h := p.openAt(filterAll, divertdrv.Network, divertdrv.Options{Overload: divertdrv.OverloadClosed})
	p.set(h, addr.QueueLength, shortest)
	p.send(seq(1, shortest+3)...)
	p.rest(h, seq(1, shortest)...)
	p.hasLeft(seq(1, shortest)...)
	st := h.Stats()
	if p.w.Caps.LossCounted {
		p.is("lost", st.Lost, 3)
	}
}
