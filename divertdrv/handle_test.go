package divertdrv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// windivert.md, section 3: what WinDivertOpen refuses with error 87.
func TestOpenRefuses(t *testing.T) {
	sim := simdrv.New(simdrv.Config{})
	for _, c := range []struct {
		name  string
		layer divertdrv.Layer
		o     divertdrv.Options
		want  error
	}{
		{"highest", divertdrv.Network, divertdrv.Options{Priority: 30000}, nil},
		{"lowest", divertdrv.NetworkForward, divertdrv.Options{Priority: -30000}, nil},
		{"too high", divertdrv.Network, divertdrv.Options{Priority: 30001}, divertdrv.ErrInvalid},
		{"too low", divertdrv.Network, divertdrv.Options{Priority: -30001}, divertdrv.ErrInvalid},
		{"unknown flag", divertdrv.Network, divertdrv.Options{Flags: 0x40}, divertdrv.ErrInvalid},
		{"sniff and drop", divertdrv.Network, divertdrv.Options{Flags: divertdrv.Sniff | divertdrv.DropAll}, divertdrv.ErrInvalid},
		{"recv only and send only", divertdrv.Network, divertdrv.Options{Flags: divertdrv.RecvOnly | divertdrv.SendOnly}, divertdrv.ErrInvalid},
		{"flow without sniff", divertdrv.LayerFlow, divertdrv.Options{Flags: divertdrv.RecvOnly}, divertdrv.ErrInvalid},
		{"socket without recv only", divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.Sniff}, divertdrv.ErrInvalid},
		{"reflect without both", divertdrv.LayerReflect, divertdrv.Options{}, divertdrv.ErrInvalid},
		{"flow", divertdrv.LayerFlow, divertdrv.Options{Flags: divertdrv.Sniff | divertdrv.RecvOnly}, nil},
	} {
		c.o.Driver = sim
		h, err := divertdrv.Open("true", c.layer, &c.o)
		wantErr(t, c.name, err, c.want)
		if err == nil {
			_ = h.Close()
		}
	}
}

func TestOpenErrors(t *testing.T) {
	var bad *filter.Error
	if _, err := divertdrv.Open("tcp.DstPort = ", divertdrv.Network, nil); !errors.As(err, &bad) {
		t.Errorf("bad filter: %v", err)
	}
	_, err := divertdrv.Open("true", divertdrv.Network, nil)
	var op *divertdrv.OpError
	if !errors.As(err, &op) || op.Op != "open" || !errors.Is(err, divertdrv.ErrNoDriver) {
		t.Fatalf("without a driver: %v", err)
	}
	if !strings.Contains(err.Error(), "simdrv.New") {
		t.Errorf("the error names no remedy: %v", err)
	}
	_, err = divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: simdrv.New(simdrv.Config{}), Priority: 31000})
	if got := err.Error(); got != "sim open at layer network: invalid argument: priority 31000, want -30000 to 30000" {
		t.Errorf("the error says %q", got)
	}
}

func TestHandleSaysWhatItIs(t *testing.T) {
	sim := simdrv.New(simdrv.Config{HoldMax: 7})
	prog, err := filter.Parse("udp", addr.NetworkForward)
	if err != nil {
		t.Fatal(err)
	}
	h, err := divertdrv.OpenProgram(prog, &divertdrv.Options{Driver: sim, Priority: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	o := h.Options()
	if h.Filter() != prog || h.Layer() != divertdrv.NetworkForward || h.Driver() != "sim" || o.Priority != 3 || o.Readers != 1 {
		t.Errorf("handle %+v", o)
	}
	if c := h.Caps(); c.HoldMax != 7 || !c.Inject {
		t.Errorf("caps %+v", c)
	}
}

func TestInjectSettles(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	a := outbound()
	a.SetChecksums(false)
	data := datagram(4, 20)
	data[10], data[26] = 1, 1 // owed, so it does not matter what stands there
	grown := divertdrv.NewPacket(outbound(), datagram(4, 20))
	if err := grown.Resize(100); err != nil {
		t.Fatal(err)
	}
	if n, err := x.h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, data), *grown}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, left := range x.wire {
		wantGood(t, left)
	}
	if n, err := x.h.Inject(nil); n != 0 || err != nil {
		t.Errorf("Inject of nothing: %d, %v", n, err)
	}
	_, err := x.h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(outbound(), []byte("no packet"))})
	wantErr(t, "Inject", err, divertdrv.ErrMalformed)
	st := x.stats()
	mustBe(t, "injected", st.Injected, 3)
	mustBe(t, "completed", st.Completed, 2)
	mustBe(t, "failed", st.Failed, 1)
}

// A final checksum is the caller's own: an injected packet that was not changed is sent as it is.
func TestInjectTrustsFinalChecksums(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	if _, err := x.h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(outbound(), corrupt(datagram(4, 20)))}); err != nil {
		t.Fatal(err)
	}
	if string(x.wire[0]) != string(corrupt(datagram(4, 20))) {
		t.Error("the packet was repaired")
	}
}

func TestCloseIsIdempotent(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	if err := errors.Join(x.h.Close(), x.h.Close(), x.h.Shutdown(divertdrv.ShutdownBoth)); err != nil {
		t.Error(err)
	}
	wantErr(t, "Recv", x.h.Recv(divertdrv.NewBatch(1, 100)), divertdrv.ErrClosed)
	_, err := x.h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(outbound(), datagram(4, 20))})
	wantErr(t, "Inject", err, divertdrv.ErrClosed)
	wantErr(t, "Shutdown(0)", x.h.Shutdown(0), divertdrv.ErrInvalid)
	wantErr(t, "Shutdown(4)", x.h.Shutdown(4), divertdrv.ErrInvalid)
}

func TestParams(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	for _, p := range []divertdrv.Param{addr.QueueLength, addr.QueueTime, addr.QueueSize} {
		lo, hi, def, _ := p.Range()
		if v, err := x.h.Param(p); v != def || err != nil {
			t.Errorf("Param(%d): %d, %v, want %d", p, v, err, def)
		}
		for _, v := range []uint64{lo, hi} {
			wantErr(t, "SetParam", x.h.SetParam(p, v), nil)
			if got, _ := x.h.Param(p); got != v {
				t.Errorf("Param(%d): %d, want %d", p, got, v)
			}
		}
		for _, v := range []uint64{lo - 1, hi + 1} {
			wantErr(t, "SetParam", x.h.SetParam(p, v), divertdrv.ErrInvalid)
		}
	}
	wantErr(t, "SetParam", x.h.SetParam(addr.VersionMajor, 2), divertdrv.ErrInvalid)
}

func TestStatsLaw(t *testing.T) {
	x := newHost(t, simdrv.Config{})
	law := func(received, passed, dropped, held, in uint64) {
		t.Helper()
		st := x.stats()
		if err := st.Conserved(); err != nil {
			t.Error(err)
		}
		if st.Received != received || st.Passed != passed || st.DroppedTotal() != dropped || st.Held != held || st.InBatch != in {
			t.Errorf("stats %+v", st)
		}
	}
	law(0, 0, 0, 0, 0)
	b := x.recv(5)
	law(5, 0, 0, 0, 5)
	hd := hold(t, b, 0, 0, divertdrv.Drop)
	law(5, 0, 0, 1, 4)
	b.Packets()[1].Set(divertdrv.Pass, 0)
	law(5, 0, 0, 1, 4)
	x.complete(b)
	law(5, 1, 3, 1, 0)
	_ = hd.Release(divertdrv.Pass, 0)
	law(5, 2, 3, 0, 0)

	bad := []divertdrv.Stats{{Received: 1}, {Injected: 1}, {Lost: 1}, {Held: 1}, {Received: 2, Passed: 1}}
	for _, st := range bad {
		if st.Conserved() == nil {
			t.Errorf("%+v counts as conserved", st)
		}
	}
	var sum divertdrv.Stats
	for range 2 {
		sum.Add(*x.stats())
	}
	mustBe(t, "sum", sum.Received, 10)
	mustBe(t, "dropped", sum.Dropped[reason.Unmarked], 6)
}

// What a driver cannot put back is counted under the cause that it names.
func TestCompleteCountsFailures(t *testing.T) {
	x := newHost(t, simdrv.Config{MTU: 100})
	b := x.recv(2)
	if err := b.Packets()[1].Resize(101); err != nil {
		t.Fatal(err)
	}
	b.Packets()[1].Edit()[6] = 0x40 // DF
	x.passAll(b)
	st := x.stats()
	mustBe(t, "too big", st.Dropped[reason.TooBig], 1)
	mustBe(t, "passed", st.Passed, 1)
}
