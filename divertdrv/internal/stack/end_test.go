package stack_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// blocked starts a Recv on h and wants that it waits; the channel gives its result.
func (r *rig) blocked(h *divertdrv.Handle) <-chan error {
	r.t.Helper()
	done := make(chan error, 1)
	go func() {
		b := divertdrv.NewBatch(8, 1<<16)
		err := h.Recv(b)
		if err == nil {
			r.complete(h, b, divertdrv.Pass)
		}
		done <- err
	}()
	select {
	case err := <-done:
		r.t.Fatalf("Recv did not wait: %v", err)
	case <-time.After(5 * time.Millisecond):
	}
	return done
}

func wantErr(t *testing.T, done <-chan error, want error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			t.Fatalf("Recv: %v, want %v", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Recv hangs")
	}
}

func TestEndWaitsForWhatIsAbove(t *testing.T) {
	r := newRig(t)
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	r.enter(1, 2, 3)
	r.End()
	done := r.blocked(low) // queued above
	b := r.recv(high, 1, 2, 3)
	hd, err := b.Hold(0, 0, divertdrv.Drop)
	if err != nil {
		t.Fatal(err)
	}
	r.completeAs(high, b) // 2 and 3 are dropped, 1 is held above
	r.ended(high, divertdrv.ErrShutdown)
	select {
	case err := <-done:
		t.Fatalf("ended although a packet is held above: %v", err)
	case <-time.After(5 * time.Millisecond):
	}
	if err := hd.Release(divertdrv.Pass, 0); err != nil {
		t.Fatal(err)
	}
	wantErr(t, done, nil)
	r.hasLeft(1)
	r.ended(low, divertdrv.ErrShutdown)
}

func TestEndWaitsForBatchAbove(t *testing.T) {
	r := newRig(t)
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	r.open("true", 2, divertdrv.Sniff) // its copies go nowhere
	r.enter(1)
	b := r.recv(high, 1)
	r.End()
	r.End()
	done := r.blocked(low)
	r.complete(high, b, divertdrv.Drop)
	wantErr(t, done, divertdrv.ErrShutdown)
}

func TestEndRefusesMore(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	r.enter(1)
	r.End()
	var op *divertdrv.OpError
	if err := r.Enter(outbound(), packet(2)); !errors.As(err, &op) || !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("Enter: %v", err)
	}
	mustBe(t, "turned", r.Stats().Turned, 1)
	r.pass(h, 1)
	r.ended(h, divertdrv.ErrShutdown)
	// After its end the handle takes nothing more: what is injected above passes by.
	high := r.open("true", 5, 0)
	if _, err := high.Inject(free(outbound(), packet(3))); err != nil {
		t.Fatal(err)
	}
	r.hasLeft(1, 3)
}

func TestShutdownRecv(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	r.enter(1, 2)
	for range 2 {
		if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
			t.Fatal(err)
		}
	}
	r.enter(3) // passes by
	r.hasLeft(3)
	r.pass(h, 1, 2)
	r.ended(h, divertdrv.ErrShutdown)
	if _, err := h.Inject(free(outbound(), packet(4))); err != nil {
		t.Error(err) // sending goes on
	}
	r.hasLeft(3, 1, 2, 4)
}

func TestShutdownSend(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	r.enter(1, 2)
	b := r.recv(h, 1, 2)
	hd, err := b.Hold(1, 0, divertdrv.Pass)
	if err != nil {
		t.Fatal(err)
	}
	_ = h.Shutdown(divertdrv.ShutdownSend)
	b.Packets()[0].Set(divertdrv.Pass, 0)
	r.completeAs(h, b)
	mustBe(t, "by shutdown", h.Stats().Dropped[reason.Shutdown], 1)
	if err := hd.Release(divertdrv.Pass, 0); !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("Release: %v", err)
	}
	if _, err := h.Inject(free(outbound(), packet(3))); !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("Inject: %v", err)
	}
	r.hasLeft()
	done := r.blocked(h) // receiving goes on
	_ = h.Shutdown(divertdrv.ShutdownBoth)
	wantErr(t, done, divertdrv.ErrShutdown)
}

func TestCloseLetsUnreadWalkOn(t *testing.T) {
	r := newRig(t)
	low, high := r.open("udp", 0, 0), r.open("true", 1, 0)
	r.enter(1, 2, 3)
	_ = high.Close()
	r.enter(5)
	r.hasLeft(1, 3, 5)
	r.pass(low, 2)
	r.ended(high, divertdrv.ErrClosed)
}

func TestCloseForgetsCopies(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, divertdrv.Sniff)
	r.enter(1, 2)
	_ = h.Close()
	r.hasLeft(1, 2)
	mustBe(t, "lost", h.Stats().LostBy[reason.Abandoned], 2)
}

func TestCloseWakesRecv(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	done := r.blocked(h)
	_ = h.Close()
	wantErr(t, done, divertdrv.ErrClosed)
}

func TestStackCloseEndsEverything(t *testing.T) {
	r := newRig(t)
	low, high := r.open("udp", 0, 0), r.open("tcp", 1, 0)
	r.enter(1, 2, 3)
	b := r.recv(high, 1, 3)
	hd, err := b.Hold(0, 0, divertdrv.Pass)
	if err != nil {
		t.Fatal(err)
	}
	done := r.blocked(high)
	r.Close()
	r.Close()
	wantErr(t, done, divertdrv.ErrClosed)
	r.hasLeft(2)
	for i := range b.Packets() {
		if !b.IsHeld(i) {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
	}
	if err := high.Complete(b); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Complete: %v", err)
	}
	mustBe(t, "abandoned", high.Stats().Dropped[reason.Abandoned], 1)
	if err := hd.Release(divertdrv.Pass, 0); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Release: %v", err)
	}
	if _, err := low.Inject(free(outbound(), packet(4))); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Inject: %v", err)
	}
	if err := r.Enter(outbound(), packet(5)); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Enter: %v", err)
	}
	if _, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: r}); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Open: %v", err)
	}
	if _, err := low.Param(addr.QueueLength); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Param: %v", err)
	}
	r.hasLeft(2)
}

func TestSeveralReadersAreRefused(t *testing.T) {
	r := newRig(t)
	_, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: r, Readers: 2})
	if !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Error(err)
	}
}

func TestPacketsWakeReaders(t *testing.T) {
	r := newRig(t)
	low, high := r.open("true", 0, 0), r.open("tcp", 1, 0)
	below, above := r.blocked(low), r.blocked(high)
	r.enter(1) // wakes high, whose Complete wakes low
	wantErr(t, above, nil)
	wantErr(t, below, nil)
	r.hasLeft(1)
}
