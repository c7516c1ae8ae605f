package divertdrv_test

import (
	"testing"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// Each misuse would lose packets in silence; each panics, and the batch can still be completed rightly.
func TestMisusePanics(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	other := newHost(t, simdrv.Config{})
	fresh := divertdrv.NewBatch(4, 4096)
	panics(t, "Complete of a batch that was never filled", func() { _ = x.h.Complete(fresh) })
	panics(t, "Hold in a batch that was never filled", func() { _, _ = fresh.Hold(0, 0, divertdrv.Pass) })
	panics(t, "Extend by who does not fill it", func() { fresh.Extend(&divertdrv.Address{}, 0, 4, 4, 0) })
	panics(t, "Fail by who does not complete it", func() { fresh.Fail(0, reason.SendFailed) })

	b := x.recv(3)
	p := &b.Packets()[0]
	late := b.Packets()[1]
	panics(t, "Recv into a batch that is out", func() { _ = x.h.Recv(b) })
	panics(t, "Complete on another handle", func() { _ = other.h.Complete(b) })
	panics(t, "Inject of a received packet", func() { _, _ = x.h.Inject(b.Packets()[:1]) })
	if _, err := b.Hold(0, 0, divertdrv.Drop); err != nil {
		t.Fatal(err)
	}
	panics(t, "Set of a held packet", func() { p.Set(divertdrv.Pass, 0) })
	panics(t, "Edit of a held packet", func() { p.Edit() })
	panics(t, "Headers of a held packet", func() { p.Headers() })
	panics(t, "Hold of a held packet", func() { _, _ = b.Hold(0, 0, divertdrv.Pass) })
	panics(t, "Set of a free packet", func() { late.Clone().Set(divertdrv.Pass, 0) })
	x.passAll(b)

	panics(t, "Complete twice", func() { _ = x.h.Complete(b) })
	panics(t, "Set after Complete", func() { late.Set(divertdrv.Pass, 0) })
	panics(t, "Headers after Complete", func() { late.Headers() })
	panics(t, "Resize after Complete", func() { _ = late.Resize(100) })
	again := x.recv(1)
	panics(t, "a packet of the round before", func() { late.SetDirty() })
	x.passAll(again)
	mustBe(t, "passed", x.stats().Passed, 3)
}

func TestMarks(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(4)
	p := b.Packets()
	p[0].Set(divertdrv.Pass, reason.Filter) // a cause has no meaning here
	p[1].Set(divertdrv.Pass, 0)
	p[1].Set(divertdrv.Drop, reason.Filter) // the last word counts
	p[2].Set(divertdrv.Mark(2), reason.Callout)
	for i, want := range []divertdrv.Mark{divertdrv.Pass, divertdrv.Drop, divertdrv.Drop, divertdrv.Drop} {
		if m, _ := b.Outcome(i); m != want {
			t.Errorf("packet %d: %v, want %v", i, m, want)
		}
	}
	x.complete(b)
	st := x.stats()
	mustBe(t, "passed", st.Passed, 1)
	mustBe(t, "by filter", st.Dropped[reason.Filter], 1)
	mustBe(t, "by callout", st.Dropped[reason.Callout], 1)
	mustBe(t, "unmarked", st.Dropped[reason.Unmarked], 1)
	mustBe(t, "left", uint64(len(x.wire)), 1)
	for m, want := range map[divertdrv.Mark]string{divertdrv.Drop: "drop", divertdrv.Pass: "pass", 2: "held", 77: "held"} {
		if m.String() != want {
			t.Errorf("Mark(%d) is %q", m, m)
		}
	}
}

func TestBatchBounds(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	for range 300 {
		if err := x.Send(datagram(0, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ packets, bytes, want int }{
		{0, 1 << 20, 1}, // at least one
		{10, 1 << 20, 10},
		{1000, 1 << 20, divertdrv.BatchMax},
		{100, 3 * 40, 3}, // 38 bytes each, aligned to 8
	} {
		b := divertdrv.NewBatch(c.packets, c.bytes)
		if err := x.h.Recv(b); err != nil {
			t.Fatal(err)
		}
		if b.Len() != c.want {
			t.Errorf("NewBatch(%d, %d) received %d packets, want %d", c.packets, c.bytes, b.Len(), c.want)
		}
		x.passAll(b)
	}
}

func TestPacketsAreAligned(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	for n := range 20 {
		if err := x.Send(datagram(byte(n), n)); err != nil {
			t.Fatal(err)
		}
	}
	b := divertdrv.NewBatch(64, 1<<16)
	if err := x.h.Recv(b); err != nil {
		t.Fatal(err)
	}
	for i, p := range b.Packets() {
		if uintptr(unsafe.Pointer(&p.Data[0]))%8 != 0 {
			t.Errorf("packet %d is misaligned", i)
		}
		if p.Data[len(p.Data)-1] != byte(i) && i > 0 {
			t.Errorf("packet %d is damaged", i)
		}
	}
	x.passAll(b)
}

// A batch may be used with one handle, then with another.
func TestBatchIsNobodysWhenIdle(t *testing.T) {
	x, y := newHost(t, simdrv.Config{}), newHost(t, simdrv.Config{})
	b := x.recv(2)
	x.passAll(b)
	if err := y.Send(datagram(9, 9)); err != nil {
		t.Fatal(err)
	}
	if err := y.h.Recv(b); err != nil || b.Len() != 1 {
		t.Fatal(err)
	}
	y.passAll(b)
}

// A Recv that fails leaves the batch as it was.
func TestRecvErrorLeavesTheBatch(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(1)
	x.passAll(b)
	x.End()
	for range 2 {
		wantErr(t, "Recv", x.h.Recv(b), divertdrv.ErrShutdown)
	}
	_ = x.h.Close()
	wantErr(t, "Recv", x.h.Recv(b), divertdrv.ErrClosed)
}
