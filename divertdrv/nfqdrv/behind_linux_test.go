package nfqdrv_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// slowly reads eight packets each millisecond or two until the handle is shut down, and returns the longest time between two calls.
func slowly(t *testing.T, h *divertdrv.Handle) (longest time.Duration) {
	b := divertdrv.NewBatch(8, 1<<16)
	for last := time.Now(); ; {
		err := h.Recv(b)
		longest = max(longest, time.Since(last))
		last = time.Now()
		if errors.Is(err, divertdrv.ErrShutdown) {
			return longest
		}
		if err != nil {
			t.Error(err)
			return longest
		}
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(b); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func set(t *testing.T, h *divertdrv.Handle, length, milliseconds uint64) {
	t.Helper()
	if err := errors.Join(h.SetParam(addr.QueueLength, length), h.SetParam(addr.QueueTime, milliseconds)); err != nil {
		t.Fatal(err)
	}
}

// A reader that comes again and again gets all of a burst that is longer than the handle's queue: the kernel keeps it so long.
func TestSteadyReaderLosesNothing(t *testing.T) {
	b := newBench(t)
	s := newBlaster(t, b)
	for range 20 {
		h := b.open("udp.DstPort == 9", divertdrv.Options{})
		gap := make(chan time.Duration)
		go func() { gap <- slowly(t, h) }()
		s.send()
		waitFor(t, "the first packets", func() bool { return h.Stats().Received > 0 })
		set(t, h, 32, 16000)
		for range 15 {
			s.send()
		}
		waitFor(t, "all packets", func() bool { st := h.Stats(); return st.Received+st.Lost >= 16*burst })
		if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
			t.Fatal(err)
		}
		longest := <-gap
		st := h.Stats()
		if st.Received+st.Lost != 16*burst {
			t.Fatalf("received %d and lost %d of %d", st.Received, st.Lost, 16*burst)
		}
		if st.Lost == 0 {
			return
		}
		if longest < 40*time.Millisecond {
			t.Fatalf("lost %d of %d: %+v; the longest pause was %v", st.Lost, 16*burst, st.LostBy, longest)
		}
		t.Logf("the reader did not run for %v: once more", longest)
	}
	t.Error("no try without a long pause")
}

// Whoever is behind for long gets the newest, as WinDivert's queue has it.
func TestLateReaderIsShedUpon(t *testing.T) {
	b := newBench(t)
	s := newBlaster(t, b)
	h := b.open("udp.DstPort == 9", divertdrv.Options{})
	set(t, h, 32, 100)
	gap := make(chan time.Duration)
	go func() { gap <- slowly(t, h) }()
	sent := uint64(0)
	waitFor(t, "losses by length", func() bool {
		s.send()
		sent += burst
		return h.Stats().LostBy[reason.QueueLength] > 0
	})
	if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
		t.Fatal(err)
	}
	<-gap
	if st := h.Stats(); st.Received+st.Lost != sent {
		t.Errorf("received %d and lost %d of %d: %+v", st.Received, st.Lost, sent, st.LostBy)
	}
}
