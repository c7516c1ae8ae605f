package drvtest

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

var closeRules = []Rule{
	{"close/unread-packets-go-on", "WinDivert 2.2, the driver's clean-up; divertdrv.Handle.Close", nil, closeUnread},
	{"close/unread-packets-go-to-lower-handles", "divertdrv.Handle.Close", nil, closeUnreadLower},
	{"close/wakes-who-waits", "WinDivert 5.10", []need{needWake}, closeWakes},
	{"close/then-nothing-works", "divertdrv.ErrClosed", nil, closeThen},
	{"close/again-is-harmless", "divertdrv.Handle.Close", nil, closeAgain},
	{"close/what-is-in-a-batch-is-lost", "WinDivert 2.2, read but not sent; reason.Abandoned", nil, closeInBatch},
	{"close/held-and-unread-together", "divertdrv.Handle.Close", []need{needHold}, closeTogether},
	{"close/others-go-on", "WinDivert 5.10", nil, closeOthers},
	{"close/unread-for-too-long-is-lost", "WinDivert 5.11, WINDIVERT_PARAM_QUEUE_TIME", []need{needShed, needQueueTime}, closeExpired},
	{"close/while-receiving", "divertdrv.Handle", nil, closeWhile},
}

// letBlock gives goroutines that were started the time to block. A test that is asked too early tests less, and never fails.
func (p *probe) letBlock() {
	p.w.Network.Settle()
	time.Sleep(2 * time.Millisecond)
}

func (p *probe) shutClosed(h *handle) {
	p.Helper()
	if err := p.within("Close", h.Close); err != nil {
		p.Fatalf("Close: %v", err)
	}
}

func closeUnread(p *probe) {
	h := p.open(0, 0)
	sent := p.sendAs(spec{n: 1, badSum: true})
	p.send(2, 3)
	p.shutClosed(h)
	if d := differ(p.hasLeft(1, 2, 3)[0].Data, sent); d != "" {
		p.Errorf("an unread packet was changed: %s", d)
	}
	st := h.Stats()
	p.is("received", st.Received, 0)
}

func closeUnreadLower(p *probe) {
	above, h, low := p.open(2, 0), p.open(1, 0), p.open(0, 0)
	p.send(1, 2)
	p.pass(above, 1, 2)
	p.shutClosed(h)
	p.hasLeft()
	p.rest(low, 1, 2)
	p.rest(above)
	p.hasLeft(1, 2)
}

func closeWakes(p *probe) {
	h := p.open(0, 0)
	done := make(chan error, 1)
	go func() { done <- h.Recv(newBatch()) }()
	p.letBlock()
	p.shutClosed(h)
	p.isErr("Recv that waited", p.await("Recv that waited", done), divertdrv.ErrClosed)
}

func closeThen(p *probe) {
	h := p.open(0, 0)
	p.shutClosed(h)
	p.isErr("Recv", p.recv(h, newBatch()), divertdrv.ErrClosed)
	_, err := h.Param(addr.QueueLength)
	p.isErr("Param", err, divertdrv.ErrClosed)
	p.isErr("SetParam", h.SetParam(addr.QueueLength, 100), divertdrv.ErrClosed)
	if p.w.Caps.Inject {
		_, err = h.Inject([]divertdrv.Packet{*p.free(spec{n: 1})})
		p.isErr("Inject", err, divertdrv.ErrClosed)
	}
	p.send(2)
	p.hasLeft(2)
	st := h.Stats()
	p.isErr("conservation", st.Conserved(), nil)
}

func closeAgain(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	done := make(chan error, 4)
	for range cap(done) {
		go func() { done <- h.Close() }()
	}
	for range cap(done) {
		p.isErr("Close", p.await("Close", done), nil)
	}
	p.isErr("Close", h.Close(), nil)
	p.hasLeft(1)
}

func closeInBatch(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	b := divertdrv.NewBatch(1, 2000)
	p.fill(h, b)
	passAll(b, 0, 1)
	p.shutClosed(h)
	p.hasLeft(2)
	p.isErr("Complete", h.Complete(b), divertdrv.ErrClosed)
	p.hasLeft()
	st := h.Stats()
	p.is("abandoned", st.Dropped[reason.Abandoned], 1)
	p.is("passed", st.Passed, 0)
}

// Held packets were taken before those that are unread, so they go first.
func closeTogether(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	p.hold(h, time.Hour, divertdrv.Pass, 1, 2)
	p.send(3, 4)
	p.shutClosed(h)
	p.hasLeft(1, 2, 3, 4)
}

func closeOthers(p *probe) {
	h, other := p.open(1, 0), p.open(0, 0)
	p.send(1)
	p.pass(h, 1)
	p.shutClosed(h)
	p.send(2)
	p.pass(other, 1, 2)
	p.hasLeft(1, 2)
}

func closeExpired(p *probe) {
	h := p.open(0, 0)
	p.set(h, addr.QueueTime, queueTime)
	p.send(1)
	p.advance(tooLong)
	p.shutClosed(h)
	p.hasLeft()
	p.lost(h, reason.QueueTime, 1)
}

// A handle that is closed while it is read loses only what is in the reader's hands.
func closeWhile(p *probe) {
	const packets = 200
	h := p.open(0, 0)
	done := make(chan error, 1)
	closing := make(chan struct{}) // from there on all is read, so that there is something left to read
	go func() {
		for b := divertdrv.NewBatch(3, roomBytes); ; {
			if err := h.Recv(b); err != nil {
				done <- err
				return
			}
			<-closing
			for i := range b.Packets() {
				passAll(b, i, 0)
			}
			_ = h.Complete(b) // ErrClosed: abandoned
		}
	}()
	for n := range packets {
		p.sendAs(spec{n: n})
		if n == packets/2 {
			close(closing)
			p.shutClosed(h)
		}
	}
	p.isErr("the reader", p.await("the reader", done), divertdrv.ErrClosed)
	p.gather()
	st := h.Stats()
	if got := uint64(len(p.arrived)) + st.Dropped[reason.Abandoned]; got != packets || st.Dropped[reason.Abandoned] > 3 {
		p.Errorf("%d left and %d were abandoned, of %d", len(p.arrived), st.Dropped[reason.Abandoned], packets)
	}
}
