package stack_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

func setParam(t *testing.T, h *divertdrv.Handle, p divertdrv.Param, v uint64) {
	t.Helper()
	if err := h.SetParam(p, v); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Param(p); err != nil || got != v {
		t.Fatalf("Param(%d) = %d, %v, want %d", p, got, err, v)
	}
}

func TestParams(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	want := map[divertdrv.Param]uint64{
		addr.QueueLength: 4096, addr.QueueTime: 2000, addr.QueueSize: 4 << 20, addr.VersionMajor: 2, addr.VersionMinor: 2,
	}
	for p, v := range want {
		if got, err := h.Param(p); err != nil || got != v {
			t.Errorf("Param(%d) = %d, %v, want %d", p, got, err, v)
		}
	}
	if _, err := h.Param(99); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("Param(99): %v", err)
	}
	for p, v := range map[divertdrv.Param]uint64{addr.QueueLength: 31, addr.QueueTime: 16001, addr.QueueSize: 0, addr.VersionMajor: 2} {
		if err := h.SetParam(p, v); !errors.Is(err, divertdrv.ErrInvalid) {
			t.Errorf("SetParam(%d, %d): %v", p, v, err)
		}
	}
	_ = h.Close()
	if _, err := h.Param(addr.QueueLength); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Param after Close: %v", err)
	}
	if err := h.SetParam(addr.QueueLength, 32); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("SetParam after Close: %v", err)
	}
}

func TestQueueLengthShedsTheOldest(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	setParam(t, h, addr.QueueLength, 32)
	r.enter(upTo(40)...)
	st := h.Stats()
	mustBe(t, "lost", st.Lost, 8)
	mustBe(t, "by length", st.LostBy[reason.QueueLength], 8)
	r.pass(h, upTo(40)[8:]...)
	r.hasLeft(upTo(40)[8:]...)
}

func TestQueueSizeShedsTheOldest(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	setParam(t, h, addr.QueueSize, 65535)
	const payload = 6000 // 11 datagrams or less: (6028+63)*10 = 60910
	for n := range 20 {
		if err := r.Enter(outbound(), packetOf(2*n, payload)); err != nil {
			t.Fatal(err)
		}
	}
	mustBe(t, "by size", h.Stats().LostBy[reason.QueueSize], 10)
	r.pass(h, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38)
}

// windivert.md, section 4: a packet whose accounted size is over QueueSize is dropped outright.
func TestPacketLargerThanQueueSizeIsLost(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	setParam(t, h, addr.QueueSize, 65535)
	r.enter(2)
	if err := r.Enter(outbound(), packetOf(4, 65535-28-62)); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "by size", h.Stats().LostBy[reason.QueueSize], 1)
	r.enter(6)
	r.pass(h, 2, 6)
}

func TestOverloadClosedLosesTheNew(t *testing.T) {
	r := newRig(t)
	h := r.openWith("true", divertdrv.Options{Overload: divertdrv.OverloadClosed})
	setParam(t, h, addr.QueueLength, 32)
	r.enter(upTo(40)...)
	mustBe(t, "by length", h.Stats().LostBy[reason.QueueLength], 8)
	r.pass(h, upTo(32)...)
	r.hasLeft(upTo(32)...)
}

func TestOverloadOpenLetsTheNewWalkOn(t *testing.T) {
	r := newRig(t)
	h := r.openWith("true", divertdrv.Options{Overload: divertdrv.OverloadOpen})
	low := r.open("true", -1, 0)
	setParam(t, h, addr.QueueLength, 32)
	r.enter(upTo(34)...)
	mustBe(t, "lost", h.Stats().Lost, 0)
	r.pass(low, 33, 34)
	r.pass(h, upTo(32)...)
	r.hasLeft(33, 34)
}

// The packet itself goes on anyway; that a copy is missing must be seen in Stats.
func TestOverloadOpenCountsLostCopies(t *testing.T) {
	r := newRig(t)
	h := r.openWith("true", divertdrv.Options{Overload: divertdrv.OverloadOpen, Flags: divertdrv.Sniff})
	setParam(t, h, addr.QueueLength, 32)
	r.enter(upTo(34)...)
	r.hasLeft(upTo(34)...)
	mustBe(t, "lost", h.Stats().Lost, 2)
}

func TestQueueTimeIsLazy(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	setParam(t, h, addr.QueueTime, 100)
	r.enter(1, 2)
	r.clock.Advance(60 * time.Millisecond)
	r.enter(3)
	r.clock.Advance(41 * time.Millisecond)
	mustBe(t, "lost before anybody looks", h.Stats().Lost, 0)
	r.pass(h, 3)
	mustBe(t, "by time", h.Stats().LostBy[reason.QueueTime], 2)

	r.enter(4)
	r.clock.Advance(100 * time.Millisecond) // exactly the limit is not over it
	r.pass(h, 4)
	r.enter(5)
	r.clock.Advance(time.Second)
	r.enter(6) // looks, too
	mustBe(t, "by time", h.Stats().LostBy[reason.QueueTime], 3)
	r.pass(h, 6)
}

func TestExpiredPacketsAreLostAtClose(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	r.enter(1)
	r.clock.Advance(1500 * time.Millisecond)
	r.enter(2)
	r.clock.Advance(600 * time.Millisecond)
	_ = h.Close()
	r.hasLeft(2)
	mustBe(t, "by time", h.Stats().LostBy[reason.QueueTime], 1)
}

// A Recv that finds only what has expired waits on.
func TestExpiredPacketsDoNotEndRecv(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	r.enter(1)
	r.clock.Advance(3 * time.Second)
	_ = h.Shutdown(divertdrv.ShutdownRecv)
	r.ended(h, divertdrv.ErrShutdown)
}
