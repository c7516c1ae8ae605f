package stack_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/internal/clock"
)

// TestManyGoroutines lets everything happen at once: packets enter from several sides, five handles are read (one of them by
// two readers), packets are held and released elsewhere, injected, handles come and go. In the end every packet must be in
// exactly one place.
func TestManyGoroutines(t *testing.T) {
	r := newRig(t, func(c *stack.Config) { c.Clock = clock.System })
	var hs []*divertdrv.Handle
	for i, filter := range []string{"true", "udp", "tcp", "true", "true"} {
		hs = append(hs, r.open(filter, int16(i), 0))
	}
	var readers, others sync.WaitGroup
	for i, h := range append(hs, hs[0]) {
		readers.Go(func() { readRandomly(t, h, uint64(i)) })
	}
	const sides, each = 3, 3000
	for side := range sides {
		others.Go(func() { r.enterAll(side*each, each) })
	}
	others.Go(func() {
		for n := range 500 {
			if _, err := hs[n%len(hs)].Inject(free(outbound(), packet(n))); err != nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() { r.comeAndGo(200) })
	others.Wait()
	r.End()
	readers.Wait()

	var sum divertdrv.Stats
	for _, h := range r.all {
		st := h.Stats()
		sum.Add(st)
		if st.InBatch+st.Held != 0 {
			t.Errorf("%d in batch, %d held at the end", st.InBatch, st.Held)
		}
	}
	st := r.Stats()
	mustBe(t, "entered", st.Entered, sides*each)
	mustBe(t, "in all", st.Left+sum.DroppedTotal()+sum.Lost, st.Entered+sum.Completed)
}

// enterAll enters n packets from first on; what there is no room for while the Sink runs is tried again.
func (r *rig) enterAll(first, n int) {
	for i := range n {
		err := r.Enter(outbound(), packet(first+i))
		for errors.Is(err, divertdrv.ErrNoRoom) {
			err = r.Enter(outbound(), packet(first+i))
		}
		if err != nil {
			r.t.Error(err)
		}
	}
}

// comeAndGo opens and closes handles that nobody reads.
func (r *rig) comeAndGo(times int) {
	for i := range times {
		h, err := divertdrv.Open("udp", divertdrv.Network, &divertdrv.Options{Driver: r, Priority: int16(i % 6)})
		if err != nil {
			r.t.Error(err)
			return
		}
		_ = h.Stats()
		time.Sleep(20 * time.Microsecond)
		_ = h.Close()
		if st := h.Stats(); st.Lost != 0 {
			r.t.Errorf("%d lost", st.Lost)
		}
	}
}

// readRandomly reads h to its end and passes, drops and holds.
func readRandomly(t *testing.T, h *divertdrv.Handle, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := divertdrv.NewBatch(32, 1<<16)
	var late sync.WaitGroup
	defer late.Wait()
	for {
		if err := h.Recv(b); err != nil {
			if !errors.Is(err, divertdrv.ErrShutdown) {
				t.Error(err)
			}
			return
		}
		for i := range b.Packets() {
			if rng.IntN(40) == 0 {
				deadline := time.Duration(rng.IntN(3)) * time.Millisecond
				if hd, err := b.Hold(i, deadline, divertdrv.Pass); err == nil {
					late.Go(func() { _ = hd.Release(divertdrv.Pass, 0) })
					continue
				}
			}
			b.Packets()[i].Set(divertdrv.Mark(min(1, rng.IntN(10))), 0)
		}
		if err := h.Complete(b); err != nil {
			t.Error(err)
		}
	}
}

// TestShutdownCloseAndRecvAtOnce ends handles while they are read, written and ended by others.
func TestShutdownCloseAndRecvAtOnce(t *testing.T) {
	for i := range 200 {
		r := newRig(t, func(c *stack.Config) { c.Clock = clock.System })
		h := r.open("true", 0, 0)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for b := divertdrv.NewBatch(4, 1<<16); h.Recv(b) == nil; {
					for i := range b.Packets() {
						b.Packets()[i].Set(divertdrv.Pass, 0)
					}
					_ = h.Complete(b) // ErrClosed after Close
				}
			})
		}
		all.Go(func() {
			for n := range 50 {
				_ = r.Enter(outbound(), packet(n)) // ErrClosed after Close
			}
		})
		all.Go(func() { _, _ = h.Inject(free(outbound(), packet(1))) })
		all.Go(func() {
			switch i % 3 {
			case 0:
				_ = h.Shutdown(divertdrv.ShutdownBoth)
			case 1:
				_ = h.Close()
			case 2:
				r.Close()
			}
		})
		all.Go(r.End)
		all.Wait()
		_ = h.Close()
		var sum divertdrv.Stats
		sum.Add(h.Stats())
		st := r.Stats()
		mustBe(t, "in all", st.Left+sum.DroppedTotal()+sum.Lost, st.Entered+sum.Completed)
	}
}
