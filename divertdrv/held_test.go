package divertdrv_test

import (
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

func hold(t *testing.T, b *divertdrv.Batch, i int, d time.Duration, m divertdrv.Mark) *divertdrv.Held {
	t.Helper()
	hd, err := b.Hold(i, d, m)
	if err != nil {
		t.Fatal(err)
	}
	return hd
}

func TestHeldPacketsAreReleasedInAnyOrder(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(4)
	var hs []*divertdrv.Held
	for i := range 3 {
		hs = append(hs, hold(t, b, i, 0, divertdrv.Drop))
	}
	st := x.stats()
	mustBe(t, "held", st.Held, 3)
	mustBe(t, "in batch", st.InBatch, 1)
	if err := hs[2].Release(divertdrv.Pass, 0); err != nil { // before its batch is completed
		t.Fatal(err)
	}
	x.passAll(b)
	for _, i := range []int{0, 1} {
		if err := hs[i].Release(divertdrv.Mark(i), reason.Callout); err != nil {
			t.Fatal(err)
		}
	}
	var order []byte
	for _, data := range x.wire {
		order = append(order, data[30])
	}
	if string(order) != "\x02\x03\x01" {
		t.Errorf("left in the order %v", order)
	}
	st = x.stats()
	mustBe(t, "held", st.Held, 0)
	mustBe(t, "passed", st.Passed, 3)
	mustBe(t, "by callout", st.Dropped[reason.Callout], 1)
	for _, hd := range hs {
		wantErr(t, "Release again", hd.Release(divertdrv.Pass, 0), divertdrv.ErrReleased)
	}
	mustBe(t, "left", uint64(len(x.wire)), 3)
}

func TestHeldPacketOutlivesItsBatch(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(1)
	hd := hold(t, b, 0, 0, divertdrv.Drop)
	if !b.IsHeld(0) || b.Len() != 1 {
		t.Error("a held packet is not shown as one")
	}
	x.complete(b)
	for range 3 { // its batch is used by others meanwhile
		x.passAll(x.recv(1))
	}
	if hd.Data[28] != 0 || len(hd.Data) != 60 || !hd.Addr.Outbound() {
		t.Fatal("the held packet changed")
	}
	copy(hd.Edit()[28:], "changed")
	if err := hd.Release(divertdrv.Pass, 0); err != nil {
		t.Fatal(err)
	}
	last := x.wire[len(x.wire)-1]
	if string(last[28:35]) != "changed" {
		t.Errorf("left: %q", last[28:])
	}
	wantGood(t, last)
}

// What was changed before Hold is owed after it.
func TestHoldKeepsWhatIsOwed(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(1)
	p := &b.Packets()[0]
	if err := p.Resize(40); err != nil {
		t.Fatal(err)
	}
	hd := hold(t, b, 0, 0, divertdrv.Drop)
	x.complete(b)
	if err := hd.Resize(2000); err != nil { // larger than the buffers that are shared
		t.Fatal(err)
	}
	if err := hd.Resize(44); err != nil {
		t.Fatal(err)
	}
	if err := hd.Release(divertdrv.Pass, 0); err != nil {
		t.Fatal(err)
	}
	wantGood(t, x.wire[0])
	mustBe(t, "length", uint64(len(x.wire[0])), 44)
}

func TestDeadlines(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(4)
	early := hold(t, b, 0, 10*time.Millisecond, divertdrv.Pass)
	hold(t, b, 1, 20*time.Millisecond, divertdrv.Drop)
	forever := hold(t, b, 2, 0, divertdrv.Drop)
	released := hold(t, b, 3, 30*time.Millisecond, divertdrv.Drop)
	x.complete(b)
	x.clock.Advance(9999 * time.Microsecond)
	mustBe(t, "held", x.stats().Held, 4)
	x.clock.Advance(time.Microsecond)
	mustBe(t, "left", uint64(len(x.wire)), 1)
	wantErr(t, "Release after the deadline", early.Release(divertdrv.Drop, 0), divertdrv.ErrReleased)
	if err := released.Release(divertdrv.Pass, 0); err != nil {
		t.Fatal(err)
	}
	x.clock.Advance(time.Hour)
	st := x.stats()
	mustBe(t, "expired", st.Dropped[reason.Expired], 1)
	mustBe(t, "held", st.Held, 1)
	if n := x.clock.Pending(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	if err := forever.Release(divertdrv.Pass, 0); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "left", uint64(len(x.wire)), 3)
}

func TestHoldFull(t *testing.T) {
	x := newHost(t, simdrv.Config{HoldMax: 2})
	b := x.recv(5)
	first := hold(t, b, 0, 0, divertdrv.Drop)
	hold(t, b, 1, 0, divertdrv.Drop)
	for i, byDefault := range []divertdrv.Mark{divertdrv.Pass, divertdrv.Drop} {
		_, err := b.Hold(2+i, 0, byDefault)
		wantErr(t, "Hold", err, divertdrv.ErrHoldFull)
		if m, why := b.Outcome(2 + i); m != byDefault || m == divertdrv.Drop && why != reason.HoldFull {
			t.Errorf("packet %d: %v by %v", 2+i, m, why)
		}
	}
	if err := first.Release(divertdrv.Drop, 0); err != nil {
		t.Fatal(err)
	}
	hold(t, b, 4, 0, divertdrv.Drop) // there is room again
	x.complete(b)
	st := x.stats()
	mustBe(t, "hold full", st.Dropped[reason.HoldFull], 1)
	mustBe(t, "passed", st.Passed, 1)
	mustBe(t, "held", st.Held, 2)
}

func TestCloseReleasesWhatIsHeld(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(3)
	passes := hold(t, b, 0, time.Minute, divertdrv.Pass)
	drops := hold(t, b, 1, 0, divertdrv.Drop)
	if err := x.h.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := b.Hold(2, 0, divertdrv.Pass)
	wantErr(t, "Hold after Close", err, divertdrv.ErrClosed)
	wantErr(t, "Complete after Close", x.h.Complete(b), divertdrv.ErrClosed)
	for _, hd := range []*divertdrv.Held{passes, drops} {
		wantErr(t, "Release after Close", hd.Release(divertdrv.Pass, 0), divertdrv.ErrReleased)
	}
	st := x.stats()
	mustBe(t, "passed", st.Passed, 1)
	mustBe(t, "abandoned", st.Dropped[reason.Abandoned], 2) // the one that was held, and the one of the batch
	mustBe(t, "left", uint64(len(x.wire)), 1)
	if n := x.clock.Pending(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

func TestAfterRelease(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	b := x.recv(3)
	var calls []int
	for i, d := range []time.Duration{0, time.Second, 0} {
		hd := hold(t, b, i, d, divertdrv.Drop)
		if i == 2 {
			_ = hd.Release(divertdrv.Drop, 0)
		} else {
			hd.AfterRelease(func() { t.Error("a callback that was replaced is called") })
		}
		hd.AfterRelease(func() { calls = append(calls, i) })
	}
	x.complete(b)
	x.clock.Advance(time.Minute)
	_ = x.h.Close()
	if len(calls) != 3 || calls[0] != 2 || calls[1] != 1 || calls[2] != 0 {
		t.Errorf("called %v", calls)
	}
}

// A deadline, a Release, another Release and a Close meet: each packet is completed once.
func TestReleaseRaces(t *testing.T) {
	for range 100 {
		sim := simdrv.New(simdrv.Config{})
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
		if err != nil {
			t.Fatal(err)
		}
		const n = 16
		for i := range n {
			if err := sim.Send(datagram(byte(i), 8)); err != nil {
				t.Fatal(err)
			}
		}
		b := divertdrv.NewBatch(n, 1<<16)
		if err := h.Recv(b); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range n {
			hd := hold(t, b, i, time.Duration(1+i*20)*time.Microsecond, divertdrv.Pass)
			for range 2 {
				all.Go(func() { _ = hd.Release(divertdrv.Pass, 0) })
			}
		}
		all.Go(func() { _ = h.Complete(b) })
		all.Go(func() { _ = h.Close() })
		all.Wait()
		st := h.Stats()
		if err := st.Conserved(); err != nil {
			t.Fatal(err)
		}
		if st.Held != 0 || st.Passed != n || sim.Stats().Left != n {
			t.Fatalf("%d held, %d passed, %d left", st.Held, st.Passed, sim.Stats().Left)
		}
	}
}
