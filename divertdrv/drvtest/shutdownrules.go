package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

var shutdownRules = []Rule{
	{"shutdown/recv-reads-what-is-queued", "WinDivert 5.9, WINDIVERT_SHUTDOWN_RECV", nil, shutdownRecvQueued},
	{"shutdown/recv-takes-nothing-more", "WinDivert 5.9, WINDIVERT_SHUTDOWN_RECV", nil, shutdownRecvMore},
	{"shutdown/recv-wakes-who-waits", "WinDivert 5.9, ERROR_NO_DATA", []need{needWake}, shutdownWakes},
	{"shutdown/recv-still-sends", "WinDivert 5.9, WINDIVERT_SHUTDOWN_RECV", []need{needInject}, shutdownRecvSends},
	{"shutdown/recv-still-releases", "WinDivert 5.9, WINDIVERT_SHUTDOWN_RECV", []need{needHold}, shutdownRecvHeld},
	{"shutdown/send-passes-nothing", "WinDivert 5.9, WINDIVERT_SHUTDOWN_SEND", nil, shutdownSendPass},
	{"shutdown/send-injects-nothing", "WinDivert 5.9, WINDIVERT_SHUTDOWN_SEND", []need{needInject}, shutdownSendInject},
	{"shutdown/send-releases-nothing", "WinDivert 5.9, WINDIVERT_SHUTDOWN_SEND", []need{needHold}, shutdownSendHeld},
	{"shutdown/both", "WinDivert 5.9, WINDIVERT_SHUTDOWN_BOTH", nil, shutdownBoth},
	{"shutdown/again-is-harmless", "divertdrv.Handle.Shutdown", nil, shutdownAgain},
	{"shutdown/else-is-invalid", "WinDivert 5.9, ERROR_INVALID_PARAMETER", nil, shutdownElse},
	{"shutdown/others-go-on", "WinDivert 5.9", nil, shutdownOthers},
}

func (p *probe) shut(h *handle, how divertdrv.Shutdown) {
	p.Helper()
	if err := h.Shutdown(how); err != nil {
		p.Fatalf("Shutdown(%d): %v", how, err)
	}
}

func shutdownRecvQueued(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3)
	p.shut(h, divertdrv.ShutdownRecv)
	for n, b := 1, divertdrv.NewBatch(1, roomBytes); n <= 3; n++ {
		p.fill(h, b)
		passAll(b, 0, n)
		p.complete(h, b)
	}
	for range 2 {
		p.isErr("Recv", p.recv(h, newBatch()), divertdrv.ErrShutdown)
	}
	p.hasLeft(1, 2, 3)
}

// What matches from then on passes by, to lower handles.
func shutdownRecvMore(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	p.send(1)
	p.shut(h, divertdrv.ShutdownRecv)
	p.send(2, 3)
	p.pass(low, 2, 3)
	p.hasLeft(2, 3)
	p.pass(h, 1)
	p.pass(low, 1)
	p.hasLeft(1)
}

func shutdownWakes(p *probe) {
	h := p.open(0, 0)
	done := make(chan error, 1)
	go func() { done <- h.Recv(newBatch()) }()
	p.letBlock()
	p.shut(h, divertdrv.ShutdownRecv)
	p.isErr("Recv that waited", p.await("Recv that waited", done), divertdrv.ErrShutdown)
}

func shutdownRecvSends(p *probe) {
	h := p.open(0, 0)
	p.shut(h, divertdrv.ShutdownRecv)
	p.inject(h, p.free(spec{n: 1}))
	p.hasLeft(1)
}

func shutdownRecvHeld(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	held := p.hold(h, 0, divertdrv.Drop, 1, 2)
	p.shut(h, divertdrv.ShutdownRecv)
	p.release(held[1], divertdrv.Pass, 0)
	p.release(held[0], divertdrv.Pass, 0)
	p.hasLeft(2, 1)
}

// What is received goes nowhere from then on, and is counted.
func shutdownSendPass(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	p.send(1, 2)
	p.shut(h, divertdrv.ShutdownSend)
	p.send(3)
	p.pass(h, 1, 2, 3)
	p.rest(low)
	p.hasLeft()
	st := h.Stats()
	p.is("passed", st.Passed, 0)
	p.is("dropped since sending is shut down", st.Dropped[reason.Shutdown], 3)
}

func shutdownSendInject(p *probe) {
	h := p.open(0, 0)
	p.shut(h, divertdrv.ShutdownSend)
	n, err := h.Inject([]divertdrv.Packet{*p.free(spec{n: 1})})
	p.is("went in", uint64(n), 0)
	p.isErr("Inject", err, divertdrv.ErrShutdown)
	p.hasLeft()
}

func shutdownSendHeld(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	held := p.hold(h, 0, divertdrv.Pass, 1, 2)
	p.shut(h, divertdrv.ShutdownSend)
	p.isErr("Release", held[0].Release(divertdrv.Pass, 0), divertdrv.ErrShutdown)
	p.isErr("Release to drop", held[1].Release(divertdrv.Drop, reason.Filter), nil)
	p.hasLeft()
	st := h.Stats()
	p.is("dropped since sending is shut down", st.Dropped[reason.Shutdown], 1)
	p.is("by filter", st.Dropped[reason.Filter], 1)
}

func shutdownBoth(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	p.shut(h, divertdrv.ShutdownBoth)
	p.send(2)
	p.hasLeft(2)
	p.rest(h, 1)
	p.hasLeft()
	st := h.Stats()
	p.is("dropped since sending is shut down", st.Dropped[reason.Shutdown], 1)
}

func shutdownAgain(p *probe) {
	h := p.open(0, 0)
	for range 3 {
		p.shut(h, divertdrv.ShutdownRecv)
		p.shut(h, divertdrv.ShutdownBoth)
		p.shut(h, divertdrv.ShutdownSend)
	}
	p.isErr("Close", h.Close(), nil)
	p.isErr("Shutdown after Close", h.Shutdown(divertdrv.ShutdownBoth), nil)
}

func shutdownElse(p *probe) {
	h := p.open(0, 0)
	for _, how := range []divertdrv.Shutdown{0, 4, 255} {
		p.isErr("Shutdown", h.Shutdown(how), divertdrv.ErrInvalid)
	}
	p.send(1)
	p.pass(h, 1)
	p.hasLeft(1)
}

func shutdownOthers(p *probe) {
	h, other := p.open(0, 0), p.open(-1, 0)
	p.shut(h, divertdrv.ShutdownBoth)
	p.send(1)
	p.pass(other, 1)
	p.hasLeft(1)
}
