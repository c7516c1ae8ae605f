package drvtest

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

var holdRules = []Rule{
	{"hold/released-in-any-order", "divertdrv.Held.Release", []need{needHold}, holdAnyOrder},
	{"hold/released-once", "divertdrv.Held.Release", []need{needHold}, holdOnce},
	{"hold/a-drop-is-counted", "divertdrv.Held.Release", []need{needHold}, holdDrop},
	{"hold/outlives-its-batch", "divertdrv.Batch.Hold", []need{needHold}, holdOutlives},
	{"hold/others-go-on", "divertdrv.Batch.Hold", []need{needHold}, holdOthers},
	{"hold/goes-on-strictly-lower", "divertdrv.Held.Release", []need{needHold}, holdLower},
	{"hold/may-be-changed", "divertdrv.Held", []need{needHold, needModify}, holdChanged},
	{"hold/may-grow", "divertdrv.Held", []need{needHold, needGrow}, holdGrown},
	{"hold/full", "divertdrv.ErrHoldFull, divertdrv.Caps.HoldMax", []need{needHold}, holdFull},
	{"hold/misuse-panics", "divertdrv.Batch.Hold", []need{needHold}, holdMisuse},
	{"hold/until-close", "divertdrv.Handle.Close", []need{needHold}, holdUntilClose},
	{"hold/from-any-goroutine", "divertdrv.Held.Release", []need{needHold}, holdGoroutines},
	{"hold/is-told-when-it-is-over", "divertdrv.Held.AfterRelease", []need{needHold}, holdAfter},
}

var deadlineRules = []Rule{
	{"deadline/passes-by-default", "divertdrv.Batch.Hold", []need{needHold}, deadlinePass},
	{"deadline/drops-by-default", "divertdrv.Batch.Hold, reason.Expired", []need{needHold}, deadlineDrop},
	{"deadline/not-before", "divertdrv.Batch.Hold", []need{needHold}, deadlineEarly},
	{"deadline/none-is-none", "divertdrv.Batch.Hold", []need{needHold}, deadlineNone},
	{"deadline/each-packet-has-its-own", "divertdrv.Batch.Hold", []need{needHold}, deadlineEach},
}

// hold receives these packets and holds every one.
func (p *probe) hold(h *handle, deadline time.Duration, byDefault divertdrv.Mark, want ...int) []*divertdrv.Held {
	p.Helper()
	return p.holdEach(h, func(int) (time.Duration, divertdrv.Mark) { return deadline, byDefault }, want...)
}

// holdEach holds each for its own time and with its own default.
func (p *probe) holdEach(h *handle, how func(n int) (time.Duration, divertdrv.Mark), want ...int) (held []*divertdrv.Held) {
	p.Helper()
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		deadline, byDefault := how(n)
		hd, err := b.Hold(i, deadline, byDefault)
		if err != nil {
			p.Fatalf("Hold of packet %d: %v", n, err)
		}
		held = append(held, hd)
	}, want...)
	return held
}

func (p *probe) release(hd *divertdrv.Held, m divertdrv.Mark, why divertdrv.Cause) {
	p.Helper()
	if err := hd.Release(m, why); err != nil {
		p.Fatalf("Release: %v", err)
	}
}

func holdAnyOrder(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3, 4)
	held := p.hold(h, 0, divertdrv.Drop, 1, 2, 3, 4)
	p.hasLeft()
	for _, i := range []int{2, 0, 3, 1} {
		p.release(held[i], divertdrv.Pass, 0)
	}
	p.hasLeft(3, 1, 4, 2)
}

func holdOnce(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	held := p.hold(h, 0, divertdrv.Pass, 1, 2)
	p.release(held[0], divertdrv.Drop, reason.Callout)
	p.release(held[1], divertdrv.Pass, 0)
	for _, hd := range held {
		p.isErr("a second Release", hd.Release(divertdrv.Pass, 0), divertdrv.ErrReleased)
	}
	p.hasLeft(2)
	st := h.Stats()
	p.is("passed", st.Passed, 1)
}

func holdDrop(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	p.send(1, 2)
	for _, hd := range p.hold(h, 0, divertdrv.Pass, 1, 2) {
		p.release(hd, divertdrv.Drop, reason.Callout)
	}
	p.rest(low)
	p.hasLeft()
	st := h.Stats()
	p.is("by callout", st.Dropped[reason.Callout], 2)
}

// The bytes of a held packet are its own, whatever is received into the batch that it came in.
func holdOutlives(p *probe) {
	h := p.open(0, 0)
	sent := p.sendAs(spec{n: 1, badSum: true})
	p.w.Network.Settle()
	b := newBatch()
	p.fill(h, b)
	hd, err := b.Hold(0, 0, divertdrv.Drop)
	p.isErr("Hold", err, nil)
	p.complete(h, b)
	for n := 2; n <= 4; n++ {
		p.send(n)
		p.fill(h, b)
		passAll(b, 0, n)
		p.complete(h, b)
	}
	p.hasLeft(2, 3, 4)
	if d := differ(hd.Data, sent); d != "" {
		p.Errorf("a held packet changed: %s", d)
	}
	p.release(hd, divertdrv.Pass, 0)
	if d := differ(p.hasLeft(1)[0].Data, sent); d != "" {
		p.Errorf("an unmodified pass of a held packet changed it: %s", d)
	}
}

func holdOthers(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3)
	var hd *divertdrv.Held
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		if n != 2 {
			passAll(b, i, n)
			return
		}
		var err error
		hd, err = b.Hold(i, 0, divertdrv.Drop)
		p.isErr("Hold", err, nil)
		if !b.IsHeld(i) {
			p.Errorf("the batch does not know what is held")
		}
	}, 1, 2, 3)
	p.hasLeft(1, 3)
	st := h.Stats()
	p.is("held", st.Held, 1)
	p.is("in batches", st.InBatch, 0)
	p.release(hd, divertdrv.Pass, 0)
	p.hasLeft(2)
}

func holdLower(p *probe) {
	above, older, me, newer, below := p.open(2, 0), p.open(1, 0), p.open(1, 0), p.open(1, 0), p.open(0, 0)
	p.send(1)
	p.pass(above, 1)
	p.pass(newer, 1)
	p.release(p.hold(me, 0, divertdrv.Drop, 1)[0], divertdrv.Pass, 0)
	p.pass(older, 1)
	p.pass(below, 1)
	p.hasLeft(1)
	for _, h := range []*handle{above, newer, me} {
		p.rest(h)
	}
}

func holdChanged(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	hd := p.hold(h, 0, divertdrv.Drop, 1)[0]
	data := hd.Edit()
	data[len(data)-1] = 0xee
	want := p.repaired(hd.Data, nil)
	p.release(hd, divertdrv.Pass, 0)
	if d := differ(p.hasLeft(1)[0].Data, want); d != "" {
		p.Errorf("a held packet was changed, and left differently: %s", d)
	}
}

func holdGrown(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	hd := p.hold(h, 0, divertdrv.Drop, 1)[0]
	tail := []byte("and so much more")
	n := len(hd.Data)
	want := p.repaired(hd.Data, tail)
	p.isErr("Resize", hd.Resize(n+len(tail)), nil)
	copy(hd.Data[n:], tail)
	p.release(hd, divertdrv.Pass, 0)
	if d := differ(p.hasLeft(1)[0].Data, want); d != "" {
		p.Errorf("a held packet has grown, and left differently: %s", d)
	}
}

// What has no room stays in the batch with its default.
func holdFull(p *probe) {
	h := p.open(0, 0)
	room := h.Caps().HoldMax
	var held []*divertdrv.Held
	for len(held) < room {
		n := min(200, room-len(held))
		numbers := seq(len(held), len(held)+n-1)
		p.send(numbers...)
		held = append(held, p.hold(h, 0, divertdrv.Pass, numbers...)...)
	}
	p.send(room, room+1)
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		_, err := b.Hold(i, 0, divertdrv.Mark(n-room)) // Drop, then Pass
		p.isErr("one Hold too many", err, divertdrv.ErrHoldFull)
	}, room, room+1)
	p.hasLeft(room + 1)
	st := h.Stats()
	p.is("dropped since hold is full", st.Dropped[reason.HoldFull], 1)
	p.is("held", st.Held, uint64(room))
	p.release(held[0], divertdrv.Pass, 0)
	p.hasLeft(0)
	p.send(room + 2)
	p.hold(h, 0, divertdrv.Pass, room+2)
	p.isErr("Close", h.Close(), nil)
	p.hasLeft(append(seq(1, room-1), room+2)...)
}

func holdMisuse(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	b := newBatch()
	p.fill(h, b)
	hd, err := b.Hold(0, 0, divertdrv.Drop)
	p.isErr("Hold", err, nil)
	p.misuse("a second Hold", func() { _, _ = b.Hold(0, 0, divertdrv.Drop) })
	p.misuse("Set of what is held", func() { b.Packets()[0].Set(divertdrv.Pass, 0) })
	p.complete(h, b)
	p.hasLeft()
	p.release(hd, divertdrv.Pass, 0)
	p.hasLeft(1)
}

// Close gives what is held its default, oldest first.
func holdUntilClose(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	p.send(1, 2, 3, 4)
	held := p.holdEach(h, func(n int) (time.Duration, divertdrv.Mark) {
		if n == 3 {
			return 0, divertdrv.Drop
		}
		return time.Hour, divertdrv.Pass
	}, 1, 2, 3, 4)
	p.isErr("Close", h.Close(), nil)
	p.rest(low, 1, 2, 4)
	p.hasLeft(1, 2, 4)
	for _, hd := range held {
		p.isErr("Release after Close", hd.Release(divertdrv.Pass, 0), divertdrv.ErrReleased)
	}
	st := h.Stats()
	p.is("abandoned", st.Dropped[reason.Abandoned], 1)
	p.is("passed", st.Passed, 3)
}

func holdGoroutines(p *probe) {
	const packets = 60
	h := p.open(0, 0)
	p.send(seq(1, packets)...)
	done := make(chan error, packets)
	for _, hd := range p.hold(h, 0, divertdrv.Drop, seq(1, packets)...) {
		go func() { done <- hd.Release(divertdrv.Pass, 0) }()
	}
	for range packets {
		p.isErr("Release", p.await("Release", done), nil)
	}
	p.hasLeftSorted(seq(1, packets)...)
}

func holdAfter(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	held := p.holdEach(h, func(n int) (time.Duration, divertdrv.Mark) {
		return time.Duration(n-1) * 50 * time.Millisecond, divertdrv.Pass // the first has none
	}, 1, 2)
	told := make(chan error, 3)
	tell := func() { told <- nil }
	held[0].AfterRelease(tell)
	p.release(held[0], divertdrv.Pass, 0)
	p.isErr("told of Release", p.await("AfterRelease", told), nil)
	held[0].AfterRelease(tell)
	p.isErr("told late", p.await("AfterRelease of what is over", told), nil)
	held[1].AfterRelease(tell)
	p.advance(60 * time.Millisecond)
	p.isErr("told of the deadline", p.await("AfterRelease by a deadline", told), nil)
	p.hasLeft(1, 2)
}

// waitFor lets the system's clock catch up with what is due: a virtual one has run it already.
func (p *probe) waitFor(h *handle, held uint64) {
	p.Helper()
	for late := time.Now().Add(p.patience); ; time.Sleep(time.Millisecond) {
		st := h.Stats()
		switch {
		case st.Held == held:
			return
		case time.Now().After(late):
			p.Fatalf("%d packets are held %v after their deadline, want %d", st.Held, p.patience, held)
		}
	}
}

func deadlinePass(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	p.send(1)
	hd := p.hold(h, 50*time.Millisecond, divertdrv.Pass, 1)[0]
	p.advance(60 * time.Millisecond)
	p.waitFor(h, 0)
	p.rest(low, 1)
	p.hasLeft(1)
	p.isErr("Release too late", hd.Release(divertdrv.Drop, 0), divertdrv.ErrReleased)
}

func deadlineDrop(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	p.hold(h, 50*time.Millisecond, divertdrv.Drop, 1)
	p.advance(60 * time.Millisecond)
	p.waitFor(h, 0)
	p.hasLeft()
	st := h.Stats()
	p.is("expired", st.Dropped[reason.Expired], 1)
}

func deadlineEarly(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	hd := p.hold(h, time.Hour, divertdrv.Drop, 1)[0]
	p.advance(50 * time.Millisecond)
	p.release(hd, divertdrv.Pass, 0)
	p.hasLeft(1)
}

func deadlineNone(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2)
	held := p.holdEach(h, func(n int) (time.Duration, divertdrv.Mark) {
		return time.Duration(1-n) * time.Second, divertdrv.Drop // none is 0 or less
	}, 1, 2)
	p.advance(50 * time.Millisecond)
	st := h.Stats()
	p.is("held", st.Held, 2)
	p.release(held[0], divertdrv.Pass, 0)
	p.release(held[1], divertdrv.Pass, 0)
	p.hasLeft(1, 2)
}

func deadlineEach(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3)
	last := p.holdEach(h, func(n int) (time.Duration, divertdrv.Mark) {
		switch n {
		case 1:
			return time.Hour, divertdrv.Drop
		case 2:
			return 20 * time.Millisecond, divertdrv.Pass
		}
		return 20 * time.Millisecond, divertdrv.Drop
	}, 1, 2, 3)[0]
	p.advance(60 * time.Millisecond)
	p.waitFor(h, 1)
	p.hasLeft(2)
	p.release(last, divertdrv.Pass, 0)
	p.hasLeft(1)
}
