package simdrv

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// faulty is a host whose driver fails, with one handle.
type faulty struct {
	host   *Stack
	driver *FaultyDriver
	clock  *clock.Virtual
	h      *divertdrv.Handle
	left   []seen
}

func newFaulty(t testing.TB, f DriverFaults) *faulty {
	t.Helper()
	x := &faulty{clock: clock.NewVirtual(pipeStart)}
	x.host = New(Config{Clock: x.clock, OnWire: record(&x.left), OnHost: record(&x.left)})
	x.driver = WithFaults(x.host, f)
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: x.driver})
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	x.h = h
	return x
}

func (x *faulty) conserved(t testing.TB) divertdrv.Stats {
	t.Helper()
	st := x.h.Stats()
	if err := st.Conserved(); err != nil {
		t.Error(err)
	}
	return st
}

func marked(data byte) []divertdrv.Packet {
	var a divertdrv.Address
	a.SetOutbound(true)
	p := udp4(1)
	p[28] = data
	return []divertdrv.Packet{*divertdrv.NewPacket(a, p)}
}

// What the driver refuses counts as dropped by Fault, or as failed, by whatever way it goes.
func TestDriverRefuses(t *testing.T) {
	x := newFaulty(t, DriverFaults{Seed: 1, Refuse: 1})
	if x.driver.Name() != Name {
		t.Error("name")
	}
	for range 3 {
		must(t, x.host.Send(udp4(1)))
	}
	b := recv(t, x.h, 3)
	held, err := b.Hold(0, 0, divertdrv.Pass)
	must(t, err)
	b.Packets()[1].Set(divertdrv.Pass, 0)
	b.Packets()[2].Set(divertdrv.Drop, reason.Filter)
	must(t, x.h.Complete(b))
	if err := held.Release(divertdrv.Pass, 0); !errors.Is(err, errRefused) {
		t.Errorf("Release: %v", err)
	}
	if n, err := x.h.Inject(marked(1)); n != 0 || !errors.Is(err, errRefused) {
		t.Errorf("Inject: %d, %v", n, err)
	}
	st := x.conserved(t)
	if st.Dropped[reason.Fault] != 2 || st.Dropped[reason.Filter] != 1 || st.Failed != 1 || len(x.left) != 0 {
		t.Errorf("stats %+v, %d left", st, len(x.left))
	}
}

// The same seed refuses the same packets.
func TestDriverRefusalsRepeat(t *testing.T) {
	run := func(seed uint64) (left []byte) {
		x := newFaulty(t, DriverFaults{Seed: seed, Refuse: 0.3})
		for n := range byte(200) {
			_, _ = x.h.Inject(marked(n))
		}
		for _, p := range x.left {
			left = append(left, p.data[28])
		}
		st := x.conserved(t)
		if refused := 200 - len(left); refused < 30 || refused > 90 || st.Failed != uint64(refused) {
			t.Errorf("%d refused, stats %+v", refused, st)
		}
		return left
	}
	if !slices.Equal(run(5), run(5)) {
		t.Error("the same seed did something else")
	}
	if slices.Equal(run(5), run(6)) {
		t.Error("another seed did the same")
	}
}

// windivert.md, section 4, Close: a crash does what Close does. Traffic flows on by itself, what was queued goes on its way, what was
// read is lost, and it is all in the books.
func TestDriverDies(t *testing.T) {
	x := newFaulty(t, DriverFaults{})
	for range 3 {
		must(t, x.host.Send(udp4(1)))
	}
	b := divertdrv.NewBatch(2, 1000)
	must(t, x.h.Recv(b))
	held, err := b.Hold(0, time.Second, divertdrv.Pass)
	must(t, err)
	b.Packets()[1].Set(divertdrv.Pass, 0)
	x.driver.Die()
	x.driver.Die()
	if len(x.left) != 1 {
		t.Errorf("%d left, want the one that was queued", len(x.left))
	}
	must(t, x.host.Send(udp4(1)))
	if len(x.left) != 2 {
		t.Error("traffic does not flow on")
	}
	x.clock.Advance(time.Second) // the held one's deadline
	if err := held.Release(divertdrv.Pass, 0); !errors.Is(err, divertdrv.ErrReleased) {
		t.Errorf("Release: %v", err)
	}
	for what, err := range map[string]error{
		"complete":  x.h.Complete(b),
		"recv":      x.h.Recv(b),
		"inject":    second(x.h.Inject(marked(1))),
		"param":     second(x.h.Param(divertdrv.Param(0))),
		"set param": x.h.SetParam(divertdrv.Param(0), 100),
		"shutdown":  x.h.Shutdown(divertdrv.ShutdownBoth),
		"open":      second(divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: x.driver})),
	} {
		var op *divertdrv.OpError
		if !errors.Is(err, ErrDied) || !errors.Is(err, divertdrv.ErrNoDriver) || !errors.As(err, &op) || op.Driver != Name {
			t.Errorf("%s: %v", what, err)
		}
	}
	st := x.conserved(t)
	if st.Received != 2 || st.Dropped[reason.Fault] != 2 || st.Held != 0 || st.Failed != 1 || len(x.left) != 2 {
		t.Errorf("stats %+v, %d left", st, len(x.left))
	}
	must(t, x.h.Close())
	settled(t, x.host, x.h)
}

// It dies at the operation that it was told to, whichever that is.
func TestDriverDiesAfter(t *testing.T) {
	for after := 1; after <= 6; after++ {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			x := newFaulty(t, DriverFaults{DieAfter: after})
			b := divertdrv.NewBatch(2, 1000)
			done := 0
			step := func(err error) bool {
				if errors.Is(err, ErrDied) {
					return false
				}
				must(t, err)
				done++
				return true
			}
			for {
				must(t, x.host.Send(udp4(1)))
				if !step(x.h.Recv(b)) {
					break
				}
				held, err := b.Hold(0, 0, divertdrv.Pass)
				must(t, err)
				if !step(x.h.Complete(b)) || !step(held.Release(divertdrv.Pass, 0)) || !step(second(x.h.Inject(marked(1)))) {
					_ = held.Release(divertdrv.Pass, 0)
					break
				}
			}
			if done != after-1 {
				t.Errorf("%d operations went well, want %d", done, after-1)
			}
			if st := x.conserved(t); st.Held+st.InBatch != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// A Recv is told, be it waiting already or not.
func TestDriverDeathWakes(t *testing.T) {
	for pause := range 5 {
		x := newFaulty(t, DriverFaults{})
		done := make(chan error)
		go func() { done <- x.h.Recv(divertdrv.NewBatch(1, 1000)) }()
		time.Sleep(time.Duration(pause) * time.Millisecond)
		x.driver.Die()
		if err := <-done; !errors.Is(err, ErrDied) {
			t.Errorf("Recv: %v", err)
		}
	}
}

// Many goroutines at all of it while the driver dies: nobody hangs, and the law holds. On a busy machine those who send may use up its
// life before anything is received, so there are more lives if no packet met a fault.
func TestDriverDiesUnderLoad(t *testing.T) {
	faults := uint64(0)
	for seed := uint64(0); seed < 8 || faults == 0 && seed < 200; seed++ {
		x := newFaulty(t, DriverFaults{Seed: seed, Refuse: 0.1, DieAfter: 200 + int(seed%8)*50})
		var all sync.WaitGroup
		all.Go(func() {
			for b := divertdrv.NewBatch(8, 1<<16); x.h.Recv(b) == nil; {
				for i := range b.Packets() {
					if i%3 == 0 {
						if hd, err := b.Hold(i, 0, divertdrv.Pass); err == nil {
							all.Go(func() { _ = hd.Release(divertdrv.Pass, 0) })
							continue
						}
					}
					b.Packets()[i].Set(divertdrv.Pass, 0)
				}
				_ = x.h.Complete(b)
			}
		})
		for range 2 {
			all.Go(func() {
				for range 1000 {
					_, _ = x.h.Inject(marked(1))
					_ = x.host.Send(udp4(1))
				}
			})
		}
		all.Wait()
		if err := x.h.Recv(divertdrv.NewBatch(1, 1000)); !errors.Is(err, ErrDied) {
			t.Errorf("Recv: %v", err)
		}
		st := x.conserved(t)
		if st.Held+st.InBatch != 0 {
			t.Errorf("stats %+v", st)
		}
		faults += st.Dropped[reason.Fault]
		settled(t, x.host, x.h)
	}
	if faults == 0 {
		t.Error("no packet met a fault")
	}
}

// Whatever is done in whatever order while the driver fails and dies: conservation, for the handle and for the host.
func TestDriverProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		x := newFaulty(t, DriverFaults{
			Seed: rapid.Uint64().Draw(r, "seed"), Refuse: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(r, "refuse"),
			DieAfter: rapid.IntRange(0, 60).Draw(r, "dieAfter"),
		})
		defer x.h.Close()
		b := divertdrv.NewBatch(4, 1<<12)
		var out bool // b is
		var held []*divertdrv.Held
		queued := 0
		for range rapid.IntRange(1, 80).Draw(r, "steps") {
			switch rapid.IntRange(0, 6).Draw(r, "step") {
			case 0, 1:
				if x.host.Send(udp4(1)) == nil && len(x.driver.conns) > 0 {
					queued++
				}
			case 2:
				if !out && (queued > 0 || len(x.driver.conns) == 0) {
					out = x.h.Recv(b) == nil
					queued -= b.Len()
				}
			case 3:
				for i := range b.Packets() {
					if m, hold := divertdrv.Mark(i&1), rapid.Bool().Draw(r, "hold"); out && hold && !b.IsHeld(i) {
						hd, err := b.Hold(i, time.Duration(rapid.IntRange(0, 2).Draw(r, "deadline"))*time.Second, m)
						if err != nil {
							r.Fatal(err)
						}
						held = append(held, hd)
					}
				}
			case 4:
				if out {
					for i := range b.Packets() {
						if !b.IsHeld(i) {
							b.Packets()[i].Set(divertdrv.Mark(i&1), reason.Filter)
						}
					}
					_ = x.h.Complete(b)
					out = false
				}
			case 5:
				if len(held) > 0 {
					_ = held[0].Release(divertdrv.Pass, 0)
					held = held[1:]
				}
				x.clock.Advance(time.Duration(rapid.IntRange(0, 1).Draw(r, "advance")) * time.Second / 4)
			case 6:
				_, _ = x.h.Inject(marked(1))
			}
			if st := x.h.Stats(); st.Conserved() != nil {
				r.Fatal(st.Conserved())
			}
		}
		if out {
			_ = x.h.Complete(b)
		}
		if err := x.h.Close(); err != nil {
			r.Fatal(err)
		}
		st := x.h.Stats()
		if st.Conserved() != nil || st.Held+st.InBatch != 0 {
			r.Fatalf("%v, stats %+v", st.Conserved(), st)
		}
		host := x.host.Stats()
		if host.Entered+st.Completed != host.Left+host.Refused+st.DroppedTotal()+st.Lost || int(host.Left) != len(x.left) {
			r.Fatalf("host %+v, handle %+v", host, st)
		}
	})
}
