package inject_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

// foreign is another program that knows no ranks: it takes what leaves and sends it again, a hop older or not.
type foreign struct {
	sim    *simdrv.Stack
	rounds int // that it has brought packets back
	most   int
	ages   bool
}

func (f *foreign) reinject(_ *divertdrv.Address, data []byte) {
	if f.rounds == f.most {
		return
	}
	f.rounds++
	b := append([]byte(nil), data...)
	var h wire.Headers
	wire.Parse(b, &h)
	if b[4] == 0 && b[5] == 0 {
		b[4] = 7 // raw sockets number what has no number
	}
	wire.CalcChecksums(b, 0)
	if f.ages && !wire.DecrementTTL(b, &h) {
		return
	}
	_ = f.sim.Send(b)
}

// loop opens a handle whose program re-injects every packet, beside a foreign one that does the same.
func loop(t *testing.T, f *foreign, cfg inject.Config, perPacket func(j *inject.Injector, p *divertdrv.Packet) error) (j *inject.Injector, h *divertdrv.Handle) {
	t.Helper()
	f.sim = simdrv.New(simdrv.Config{OnWire: f.reinject})
	t.Cleanup(f.sim.Close)
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: f.sim})
	if err != nil {
		t.Fatal(err)
	}
	if j, err = inject.New(h, cfg); err != nil {
		t.Fatal(err)
	}
	if err := f.sim.Send(segment(0, 30, 0, wire.ProtoTCP)); err != nil {
		t.Fatal(err)
	}
	b := divertdrv.NewBatch(1, divertdrv.MTUMax)
	for before := -1; before != f.rounds; {
		before = f.rounds
		if err := h.Recv(b); err != nil {
			t.Fatal(err)
		}
		if err := perPacket(j, &b.Packets()[0]); err != nil && !errors.Is(err, inject.ErrLoop) {
			t.Fatal(err)
		}
		if err := j.Complete(b); err != nil {
			t.Fatal(err)
		}
	}
	return j, h
}

func TestLoopIsNamedAndBroken(t *testing.T) {
	again := func(j *inject.Injector, p *divertdrv.Packet) error { // drops the packet and puts a copy in, as a re-injector does
		p.Set(divertdrv.Drop, reason.Callout)
		return j.Inject(nil, inject.Injection{Packet: p.Clone(), Path: inject.Send})
	}
	first := true
	passes := func(j *inject.Injector, p *divertdrv.Packet) error { // puts it in once, and passes it from then on
		if first {
			first = false
			return again(j, p)
		}
		p.Set(divertdrv.Pass, 0)
		return nil
	}
	for name, perPacket := range map[string]func(*inject.Injector, *divertdrv.Packet) error{"injects": again, "passes": passes} {
		t.Run(name, func(t *testing.T) {
			var told []inject.Loop
			f := &foreign{most: 100_000}
			first = true
			j, h := loop(t, f, inject.Config{Clock: clock.NewVirtual(time.Unix(1, 0)), OnLoop: func(l inject.Loop) { told = append(told, l) }}, perPacket)
			if f.rounds > inject.LoopMax {
				t.Errorf("went round %d times, want at most %d", f.rounds, inject.LoopMax)
			}
			s := j.Stats()
			if s.Returned != inject.LoopMax || s.LoopsBroken != 1 {
				t.Errorf("returned %d, broken %d", s.Returned, s.LoopsBroken)
			}
			if len(told) != 2 || told[0].Broken || told[0].Passes != 4 || !told[1].Broken || told[1].Passes != inject.LoopMax ||
				!strings.Contains(told[1].String(), "re-injects what Weir puts in") || told[0].Flow != flowOf(segment(0, 30, 0, wire.ProtoTCP)) {
				t.Errorf("told %v", told)
			}
			closeAll(t, j, h)
		})
	}
}

func closeAll(t *testing.T, j *inject.Injector, h *divertdrv.Handle) {
	t.Helper()
	if err := errors.Join(j.Close(time.Second), h.Close()); err != nil {
		t.Error(err)
	}
	s := h.Stats()
	if err := s.Conserved(); err != nil {
		t.Error(err)
	}
}

// What is the same to the byte, but comes more slowly than a loop, is none: segments that TCP repeats, keepalives.
func TestSlowRepetitionIsNoLoop(t *testing.T) {
	v := clock.NewVirtual(time.Unix(1, 0))
	r := newRigWith(t, simdrv.Config{}, inject.Config{Clock: v, OnLoop: func(l inject.Loop) { t.Error(l) }})
	for range 10 * inject.LoopMax {
		if err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 9, 0, wire.ProtoTCP))}); err != nil {
			t.Fatal(err)
		}
		v.Advance(200 * time.Millisecond)
	}
	r.close(t)
}

// Nor are datagrams of the same words that their sender numbers, or duplicate acknowledgments with other options, however fast.
func TestSameWordsAreNoLoop(t *testing.T) {
	r := newRigWith(t, simdrv.Config{}, inject.Config{Clock: clock.NewVirtual(time.Unix(1, 0)), OnLoop: func(l inject.Loop) { t.Error(l) }})
	for i := range 10 * inject.LoopMax {
		udp := segment(0, 100, 0, wire.ProtoUDP)
		udp[4], udp[5] = byte(i>>8)+1, byte(i)
		ack := segment(0, 12, 0, wire.ProtoTCP)
		ack[32] = 8 << 4 // the payload becomes options: what SACK reports
		ack[50], ack[51] = byte(i>>8), byte(i)
		for _, b := range [][]byte{udp, ack} {
			wire.CalcChecksums(b, 0)
			if err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), b)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := r.j.Stats(); s.Returned != 0 {
		t.Errorf("%d counted as returned", s.Returned)
	}
	r.close(t)
}

// An injection that the driver refuses and that is tried again goes round in no loop.
func TestRetriesAreNoLoop(t *testing.T) {
	r := newRigWith(t, simdrv.Config{HeaderAlign: 8}, inject.Config{
		Clock: clock.NewVirtual(time.Unix(1, 0)), Rules: inject.Rules{Misaligned: inject.Off},
	})
	for range 10 * inject.LoopMax {
		err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 9, 1, wire.ProtoTCP))})
		if !errors.Is(err, divertdrv.ErrMisaligned) {
			t.Fatal(err)
		}
	}
	if s := r.j.Stats(); s.Returned != 0 || s.Failed != 10*inject.LoopMax {
		t.Errorf("%+v", s)
	}
	r.close(t)
}

// Report tells of a loop and does not break it; Off does neither.
func TestLoopsSetting(t *testing.T) {
	for setting, want := range map[inject.Setting][2]int{inject.Enforce: {2, inject.LoopMax}, inject.Report: {2, 100}, inject.Off: {0, 100}} {
		told := 0
		r := newRigWith(t, simdrv.Config{}, inject.Config{
			Clock: clock.NewVirtual(time.Unix(1, 0)), Loops: setting, OnLoop: func(inject.Loop) { told++ },
		})
		for range 100 {
			_ = r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 9, 0, wire.ProtoTCP))})
		}
		if got := [2]int{told, int(r.j.Stats().Completed)}; got != want {
			t.Errorf("%v: told %d times, %d went in, want %v", setting, got[0], got[1], want)
		}
		r.close(t)
	}
}

// Injectors that share Origins may inject, pass and ask at the same time.
func TestOriginsConcurrently(t *testing.T) {
	origins := inject.NewOrigins()
	var rigs [2]*rig
	var wg sync.WaitGroup
	for i := range rigs {
		r := newRigWith(t, simdrv.Config{}, inject.Config{Origins: origins})
		rigs[i] = r
		wg.Go(func() {
			for n := range 2000 {
				p := divertdrv.NewPacket(final(), numbered(wire.ProtoUDP, 20, n%500))
				p.Data[4] = byte(n) | 1
				if err := r.j.Inject(nil, inject.Injection{Packet: p, Path: inject.Receive}); err != nil && !errors.Is(err, inject.ErrLoop) {
					t.Error(err)
				}
				if s := r.j.State(p); s != inject.PreviouslyBySelf && s != inject.BySelf && s != inject.NotInjected {
					t.Error(s)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range rigs {
		r.close(t)
	}
}

func TestStates(t *testing.T) {
	v := clock.NewVirtual(time.Unix(1, 0))
	origins := inject.NewOrigins()
	above := newRigWith(t, simdrv.Config{}, inject.Config{Clock: v, Origins: origins})
	below := newRigWith(t, simdrv.Config{}, inject.Config{Clock: v, Origins: origins})
	b := segment(0, 20, 0, wire.ProtoTCP)
	if err := above.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), append([]byte(nil), b...))}); err != nil {
		t.Fatal(err)
	}
	seen := divertdrv.NewPacket(final(), b)
	impostor := divertdrv.NewPacket(final(), segment(0, 21, 0, wire.ProtoTCP))
	impostor.Addr.SetImpostor(true)
	stranger := divertdrv.NewPacket(final(), segment(0, 22, 0, wire.ProtoTCP))
	none := divertdrv.NewPacket(final(), []byte{1})
	for _, c := range []struct {
		name string
		j    *inject.Injector
		p    *divertdrv.Packet
		want inject.State
	}{
		{"ours, at the injector that put it in", above.j, seen, inject.PreviouslyBySelf},
		{"ours, at another", below.j, seen, inject.BySelf},
		{"an impostor", above.j, impostor, inject.ByOther},
		{"a stranger", above.j, stranger, inject.NotInjected},
		{"no packet", above.j, none, inject.NotInjected},
	} {
		if got := c.j.State(c.p); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	v.Advance(2 * time.Second)
	if got := above.j.State(seen); got != inject.NotInjected {
		t.Errorf("after the window: %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { above.j.State(seen) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	above.close(t)
	below.close(t)
}

// However many different packets are put in, what is remembered is bounded, and the newest are.
func TestOriginsAreBounded(t *testing.T) {
	r := newRigWith(t, simdrv.Config{}, inject.Config{})
	var last *divertdrv.Packet
	for i := range 20_000 {
		b := segment(0, 4, 0, wire.ProtoUDP)
		b[40], b[41], b[42] = byte(i), byte(i>>8), byte(i>>16)
		last = divertdrv.NewPacket(divertdrv.Address{}, b)
		r.wire = r.wire[:0]
		if err := r.j.Inject(nil, inject.Injection{Packet: last}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.j.State(last); got != inject.PreviouslyBySelf {
		t.Errorf("the last one is %v", got)
	}
	r.close(t)
}
