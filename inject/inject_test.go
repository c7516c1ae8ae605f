package inject_test

import (
	"errors"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type seen struct {
	addr    divertdrv.Address
	data    []byte
	pointer uintptr // where the driver was given it
}

type rig struct {
	sim        *simdrv.Stack
	h          *divertdrv.Handle
	j          *inject.Injector
	wire, host []seen
}

// newRig is a driver that insists on aligned headers.
func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigWith(t, simdrv.Config{HeaderAlign: 8}, inject.Config{})
}

func newRigWith(t testing.TB, host simdrv.Config, cfg inject.Config) *rig {
	t.Helper()
	return newRigAt(t, divertdrv.Network, host, cfg)
}

func newRigAt(t testing.TB, layer divertdrv.Layer, host simdrv.Config, cfg inject.Config) *rig {
	t.Helper()
	r := &rig{}
	keep := func(to *[]seen) func(*divertdrv.Address, []byte) {
		return func(a *divertdrv.Address, data []byte) {
			*to = append(*to, seen{*a, append([]byte(nil), data...), uintptr(unsafe.Pointer(&data[0]))})
		}
	}
	host.OnWire, host.OnHost = keep(&r.wire), keep(&r.host)
	r.sim = simdrv.New(host)
	h, err := divertdrv.Open("true", layer, &divertdrv.Options{Driver: r.sim})
	if err != nil {
		t.Fatal(err)
	}
	r.h = h
	if r.j, err = inject.New(h, cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) close(t testing.TB) {
	t.Helper()
	if err := r.j.Close(time.Second); err != nil {
		t.Error(err)
	}
	if err := r.h.Close(); err != nil {
		t.Error(err)
	}
	r.sim.Close()
	s, js := r.h.Stats(), r.j.Stats()
	if err := s.Conserved(); err != nil {
		t.Error(err)
	}
	if js.Injected != js.Completed+js.Failed+js.Pending || js.Pending != 0 {
		t.Errorf("injector %+v", js)
	}
}

// segment returns a TCP/IPv4 packet with that many bytes of options and payload, at an address that is off bytes past a multiple of 8.
func segment(options, payload, off int, proto uint8) []byte {
	n := 20 + options + 20 + payload
	block := make([]byte, n+16)
	start := int(8-uintptr(unsafe.Pointer(&block[0]))%8)%8 + off
	b := block[start : start+n : start+n]
	b[0] = 4<<4 | uint8(5+options/4)
	b[2], b[3], b[8], b[9] = byte(n>>8), byte(n), 64, proto
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	for i := range options {
		b[20+i] = 1 // no operation
	}
	b[20+options+12] = 5 << 4
	if proto == wire.ProtoUDP {
		b[20+options+4], b[20+options+5] = byte((20+payload)>>8), byte(20+payload)
	}
	for i := range payload {
		b[40+options+i] = byte(i * 7)
	}
	wire.CalcChecksums(b, 0)
	return b
}

func final() (a divertdrv.Address) {
	a.SetChecksums(true)
	return a
}

// Consideration 5: whatever the Address claims, the IPv4 header checksum is right after receive injection, options included; and
// what was injected verifies as a whole.
func TestReceiveInjectionRecomputesTheIPChecksum(t *testing.T) {
	r := newRig(t)
	rapid.Check(t, func(t *rapid.T) {
		r.host = nil
		options := 4 * rapid.IntRange(0, 10).Draw(t, "words of options")
		b := segment(options, rapid.IntRange(0, 1400).Draw(t, "payload"), rapid.IntRange(0, 15).Draw(t, "offset"), wire.ProtoTCP)
		b[10], b[11] = rapid.Byte().Draw(t, "stale"), rapid.Byte().Draw(t, "stale")
		done := 0
		err := r.j.Inject(nil, inject.Injection{
			Packet: divertdrv.NewPacket(final(), b), Path: inject.Receive, IfIdx: 7,
			Done: func(err error) {
				if done++; err != nil {
					t.Error(err)
				}
			},
		})
		if err != nil || done != 1 || len(r.host) != 1 {
			t.Fatalf("%v, done %d times, host got %d", err, done, len(r.host))
		}
		got := r.host[0]
		var h wire.Headers
		wire.Parse(got.data, &h)
		if ip, tcp := wire.Verify(got.data, &h); ip != wire.SumGood || tcp != wire.SumGood {
			t.Fatalf("IP %v, TCP %v", ip, tcp)
		}
		if got.addr.Outbound() || got.addr.IfIdx() != 7 || !got.addr.IPChecksum() {
			t.Fatalf("address %+v", got.addr)
		}
	})
	r.close(t)
}

// A TCP checksum that was final and wrong stays wrong: nobody asked for corruption to be laundered.
func TestReceiveInjectionDoesNotLaunder(t *testing.T) {
	r := newRig(t)
	b := segment(0, 10, 0, wire.ProtoTCP)
	b[45] ^= 0xff // on the way
	p := divertdrv.NewPacket(final(), b)
	p.Edit()[8] = 3
	if err := r.j.Inject(nil, inject.Injection{Packet: p, Path: inject.Receive}); err != nil {
		t.Fatal(err)
	}
	var h wire.Headers
	wire.Parse(r.host[0].data, &h)
	if ip, tcp := wire.Verify(r.host[0].data, &h); ip != wire.SumGood || tcp != wire.SumBad {
		t.Errorf("IP %v, TCP %v, want good and bad", ip, tcp)
	}
	r.close(t)
}

// Consideration 6: with a transport scope open TCP is refused, anything else and any other time is not.
func TestInlineTCPMatrix(t *testing.T) {
	r := newRig(t)
	var transport, network, left inject.Scope
	transport.Enter("outbound-transport", "probe", true)
	network.Enter("outbound-ippacket", "probe", false)
	left.Enter("outbound-transport", "probe", true)
	left.Leave()
	for _, c := range []struct {
		name  string
		scope *inject.Scope
		proto uint8
		want  error
	}{
		{"TCP at transport", &transport, wire.ProtoTCP, inject.ErrInlineTCPInjection},
		{"UDP at transport", &transport, wire.ProtoUDP, nil},
		{"TCP at network", &network, wire.ProtoTCP, nil},
		{"UDP at network", &network, wire.ProtoUDP, nil},
		{"TCP after classify", &left, wire.ProtoTCP, nil},
		{"TCP out of band", nil, wire.ProtoTCP, nil},
	} {
		for _, path := range []inject.Path{inject.Send, inject.Receive} {
			called := false
			err := r.j.Inject(c.scope, inject.Injection{
				Packet: divertdrv.NewPacket(final(), segment(0, 4, 0, c.proto)), Path: path,
				Done: func(error) { called = true },
			})
			if !errors.Is(err, c.want) || called != (err == nil) {
				t.Errorf("%s, %v: %v, Done called: %v", c.name, path, err, called)
			}
		}
	}
	if s := r.j.Stats(); s.Refused != 2 || s.Injected != 10 {
		t.Errorf("stats %+v", s)
	}
	r.close(t)
}

// Consideration 7: for every offset the driver, which demands alignment, takes the packet; an aligned one is not moved.
func TestSendInjectionRealigns(t *testing.T) {
	r := newRig(t)
	for off := range 16 {
		r.wire = nil
		b := segment(4, 33, off, wire.ProtoTCP)
		want := append([]byte(nil), b...)
		before := r.j.Stats().Realigned
		if err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), b), Path: inject.Send}); err != nil {
			t.Fatalf("offset %d: %v", off, err)
		}
		if moved := r.j.Stats().Realigned - before; (moved == 1) != (off%8 != 0) {
			t.Errorf("offset %d: moved %d times", off, moved)
		}
		if got := r.wire[0]; string(got.data) != string(want) || !got.addr.Outbound() || got.pointer%8 != 0 {
			t.Errorf("offset %d: %x at %x", off, got.data, got.pointer)
		}
	}
	r.close(t)
}

// Without the injector the same driver refuses: the test above is not true by accident.
func TestDriverRefusesMisaligned(t *testing.T) {
	r := newRig(t)
	a := final()
	a.SetOutbound(true)
	if _, err := r.h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, segment(0, 3, 1, wire.ProtoTCP))}); !errors.Is(err, divertdrv.ErrMisaligned) {
		t.Errorf("got %v, want ErrMisaligned", err)
	}
	r.close(t)
}

func TestErrorsMeanNoDone(t *testing.T) {
	r := newRig(t)
	never := func(error) { t.Error("Done was called") }
	for name, p := range map[string]*divertdrv.Packet{
		"none": nil, "no address": {Data: segment(0, 0, 0, 6)}, "not IP": divertdrv.NewPacket(final(), []byte("not a packet")),
	} {
		if err := r.j.Inject(nil, inject.Injection{Packet: p, Done: never}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := r.j.Close(0); err != nil {
		t.Error(err)
	}
	ok := divertdrv.NewPacket(final(), segment(0, 0, 0, 6))
	if err := r.j.Inject(nil, inject.Injection{Packet: ok, Done: never}); !errors.Is(err, inject.ErrClosing) {
		t.Errorf("after Close: %v", err)
	}
	r.close(t)
	if _, err := inject.New(nil, inject.Config{}); err == nil {
		t.Error("New without a handle was taken")
	}
	if _, err := inject.New(r.h, inject.Config{Buffers: -1}); err == nil {
		t.Error("New with -1 buffers was taken")
	}
}

// No packet is longer than MTUMax, aligned or not.
func TestOverlongPacket(t *testing.T) {
	r := newRig(t)
	for off := range 2 {
		p := divertdrv.NewPacket(final(), make([]byte, divertdrv.MTUMax+9)[off:])
		if err := r.j.Inject(nil, inject.Injection{Packet: p}); !errors.Is(err, divertdrv.ErrTooBig) {
			t.Errorf("offset %d: %v", off, err)
		}
	}
	r.close(t)
}

// Data may be shortened by reslicing, after its headers were read.
func TestResliced(t *testing.T) {
	r := newRig(t)
	for _, n := range []int{39, 20, 19, 1, 0} {
		p := divertdrv.NewPacket(final(), segment(0, 40, 0, wire.ProtoTCP))
		p.Headers()
		p.Data = p.Data[:n]
		err := r.j.Inject(nil, inject.Injection{Packet: p})
		if (err == nil) != (n >= 20) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	r.close(t)
}

// Done is called before the injection is over for Close, and after the flow's lock was given back.
func TestDoneMayInject(t *testing.T) {
	var told []inject.Violation
	r := newRigWith(t, simdrv.Config{}, inject.Config{
		Guard: inject.NewGuard(time.Millisecond), OnViolation: func(v inject.Violation) { told = append(told, v) },
	})
	second := 0
	err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), numbered(wire.ProtoTCP, 9, 1)), Done: func(error) {
		if err := r.j.Inject(nil, inject.Injection{
			Packet: divertdrv.NewPacket(final(), numbered(wire.ProtoTCP, 9, 2)), Done: func(error) { second++ },
		}); err != nil {
			t.Error(err)
		}
		if err := r.j.Close(0); !errors.Is(err, inject.ErrPending) {
			t.Errorf("Close from Done: %v", err)
		}
	}})
	if err != nil || second != 1 || len(told) != 0 {
		t.Errorf("%v, second done %d times, told %v", err, second, told)
	}
	r.close(t)
}

// The deadline of Close is by the injector's clock.
func TestCloseDeadline(t *testing.T) {
	v := clock.NewVirtual(time.Unix(1, 0))
	r := newRigWith(t, simdrv.Config{}, inject.Config{Clock: v})
	closed := make(chan error)
	err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 9, 0, wire.ProtoUDP)), Done: func(error) {
		go func() { closed <- r.j.Close(time.Hour) }()
		for v.Pending() == 0 {
			runtime.Gosched()
		}
		v.Advance(time.Hour)
		if err := <-closed; !errors.Is(err, inject.ErrPending) {
			t.Errorf("Close: %v", err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.close(t)
}

// Complete: what passes unchanged is not touched, even if its checksums are wrong; what was changed is repaired and aligned.
func TestCompleteRepairsOnlyWhatChanged(t *testing.T) {
	r := newRig(t)
	corrupt := segment(0, 20, 0, wire.ProtoTCP)
	corrupt[10] ^= 1
	changed := segment(0, 21, 0, wire.ProtoTCP)
	for _, p := range [][]byte{corrupt, changed} {
		if err := r.sim.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	b := divertdrv.NewBatch(8, 1<<17)
	for got := 0; got < 2; got += b.Len() {
		if got > 0 {
			if err := r.j.Complete(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.h.Recv(b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			p.Set(divertdrv.Pass, 0)
			if len(p.Data) == len(changed) {
				if err := p.Resize(len(changed) + 9); err != nil {
					t.Fatal(err)
				}
				p.Data[8] = 9
			}
		}
	}
	if err := r.j.Complete(b); err != nil {
		t.Fatal(err)
	}
	if string(r.wire[0].data) != string(corrupt) {
		t.Error("an unmodified pass changed bytes")
	}
	got := r.wire[1].data
	var h wire.Headers
	wire.Parse(got, &h)
	if ip, tcp := wire.Verify(got, &h); ip != wire.SumGood || tcp != wire.SumGood || len(got) != len(changed)+9 || int(h.Total) != len(got) {
		t.Errorf("IP %v, TCP %v, %d bytes of %d", ip, tcp, len(got), h.Total)
	}
	r.close(t)
}
