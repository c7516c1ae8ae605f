package simdrv

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what a callback was given.
type seen struct {
	addr divertdrv.Address
	data []byte
}

func record(into *[]seen) func(*divertdrv.Address, []byte) {
	return func(a *divertdrv.Address, data []byte) { *into = append(*into, seen{*a, bytes.Clone(data)}) }
}

func open(t testing.TB, s *Stack, filter string, o divertdrv.Options) *divertdrv.Handle {
	t.Helper()
	return openAt(t, s, filter, divertdrv.Network, o)
}

// openAt opens a handle and checks its conservation at the end.
func openAt(t testing.TB, s *Stack, filter string, l divertdrv.Layer, o divertdrv.Options) *divertdrv.Handle {
	t.Helper()
	o.Driver = s
	h, err := divertdrv.Open(filter, l, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		st := h.Stats()
		if err := st.Conserved(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func recv(t testing.TB, h *divertdrv.Handle, want int) *divertdrv.Batch {
	t.Helper()
	b := divertdrv.NewBatch(64, 1<<18)
	if err := h.Recv(b); err != nil || b.Len() != want {
		t.Fatalf("Recv: %v, %d packets, want %d", err, b.Len(), want)
	}
	return b
}

func pass(t testing.TB, h *divertdrv.Handle, b *divertdrv.Batch) {
	t.Helper()
	for i := range b.Packets() {
		b.Packets()[i].Set(divertdrv.Pass, 0)
	}
	if err := h.Complete(b); err != nil {
		t.Fatal(err)
	}
}

// udp4 and udp6 are datagrams with n bytes of payload.
func udp4(n int) []byte {
	b := make([]byte, 28+n)
	b[0], b[2], b[3], b[8], b[9] = 0x45, byte(len(b)>>8), byte(len(b)), 64, wire.ProtoUDP
	b[24], b[25] = byte((8+n)>>8), byte(8+n)
	wire.CalcChecksums(b, 0)
	return b
}

func udp6(n int) []byte {
	b := make([]byte, 48+n)
	b[0], b[4], b[5], b[6], b[7] = 0x60, byte((8+n)>>8), byte(8+n), wire.ProtoUDP, 64
	b[44], b[45] = byte((8+n)>>8), byte(8+n)
	wire.CalcChecksums(b, 0)
	return b
}

// windivert.md, section 2: what the Address says of each way into the stack, and where the packet comes out.
func TestWays(t *testing.T) {
	now := time.Unix(1234, 5678)
	for _, c := range []struct {
		name              string
		enter             func(s *Stack, data []byte) error
		layer             divertdrv.Layer
		outbound, looping bool
		toHost            bool
	}{
		{"send", (*Stack).Send, addr.Network, true, false, false},
		{"receive", (*Stack).Receive, addr.Network, false, false, true},
		{"loop", (*Stack).Loop, addr.Network, true, true, true},
		{"forward", (*Stack).Forward, addr.NetworkForward, true, false, false},
	} {
		for _, data := range [][]byte{udp4(9), udp6(9)} {
			t.Run(c.name, func(t *testing.T) {
				var out, host []seen
				s := New(Config{Clock: clock.NewVirtual(now), IfIdx: 7, OnWire: record(&out), OnHost: record(&host)})
				h := openAt(t, s, "true", c.layer, divertdrv.Options{})
				if err := c.enter(s, data); err != nil {
					t.Fatal(err)
				}
				b := recv(t, h, 1)
				a := b.Packets()[0].Addr
				if a.Outbound() != c.outbound || a.Loopback() != c.looping || a.Layer() != c.layer || a.IfIdx() != 7 ||
					a.IPv6() != (data[0]>>4 == 6) || a.Timestamp != now.UnixNano() || a.Impostor() || a.Sniffed() || !a.UDPChecksum() {
					t.Errorf("address %+v", a)
				}
				pass(t, h, b)
				got, other := out, host
				if c.toHost {
					got, other = host, out
				}
				if len(other) != 0 || len(got) != 1 || !bytes.Equal(got[0].data, data) {
					t.Errorf("%d packets to the wire, %d to the host", len(out), len(host))
				}
			})
		}
	}
}

func TestOffloadLeavesChecksumsOpen(t *testing.T) {
	s := New(Config{Offload: true})
	h := open(t, s, "true", divertdrv.Options{})
	if err := errors.Join(s.Send(udp4(1)), s.Receive(udp4(1))); err != nil {
		t.Fatal(err)
	}
	b := recv(t, h, 2)
	for i, final := range []bool{false, true} {
		a := b.Packets()[i].Addr
		if a.IPChecksum() != final || a.TCPChecksum() != final || a.UDPChecksum() != final {
			t.Errorf("packet %d: final is not %v", i, final)
		}
	}
	pass(t, h, b)
}

// windivert.md, section 5: what is longer than the MTU is cut by the stack, or refused if it must not be.
func TestMTU(t *testing.T) {
	dontCut := func(data []byte) []byte { data[6] = 0x40; wire.CalcChecksums(data, 0); return data }
	var out, host []seen
	s := New(Config{OnWire: record(&out), OnHost: record(&host)})
	for _, c := range []struct {
		name   string
		enter  func([]byte) error
		data   []byte
		want   error
		pieces int
	}{
		{"full frame", s.Send, udp4(DefaultMTU - 28), nil, 1},
		{"one more", s.Send, named(udp4(DefaultMTU - 27)), nil, 2},
		{"one more, DF", s.Send, dontCut(udp4(DefaultMTU - 27)), divertdrv.ErrTooBig, 0},
		{"three frames of IPv6", s.Send, udp6(4000), nil, 3},
		{"one more, forwarded", s.Forward, named(udp4(DefaultMTU - 27)), nil, 2},
		{"IPv6, forwarded", s.Forward, udp6(4000), divertdrv.ErrTooBig, 0},
		{"no packet", s.Send, make([]byte, 4000), divertdrv.ErrTooBig, 0},
		{"large receive", s.Receive, udp4(9000), nil, 0},
		{"loopback", s.Loop, udp4(60_000), nil, 0},
	} {
		out = nil
		var op *divertdrv.OpError
		err := c.enter(c.data)
		if !errors.Is(err, c.want) || err != nil && (!errors.As(err, &op) || op.Driver != Name) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if len(out) != c.pieces {
			t.Errorf("%s: %d packets left, want %d", c.name, len(out), c.pieces)
		}
		if c.pieces > 1 && !bytes.Equal(rejoin(t, out), c.data) {
			t.Errorf("%s: the fragments make another packet", c.name)
		}
	}
	if st := s.Stats(); st.Left != 6 || st.Refused != 3 || st.Entered != 9 || st.Cut != 3 || st.TooBig != 2 || len(host) != 2 {
		t.Errorf("stats %+v", st)
	}
}

// rejoin has another host join fragments.
func rejoin(t *testing.T, pieces []seen) []byte {
	t.Helper()
	var host []seen
	s := New(Config{OnHost: record(&host)})
	for _, p := range pieces {
		if len(p.data) > DefaultMTU {
			t.Errorf("a fragment of %d bytes", len(p.data))
		}
		if err := s.Receive(p.data); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Fragments != uint64(len(pieces)) || st.Wholes != 1 || len(host) != 1 {
		t.Fatalf("stats %+v", st)
	}
	return host[0].data
}

func TestHeaderAlign(t *testing.T) {
	s := New(Config{HeaderAlign: 8})
	h := open(t, s, "true", divertdrv.Options{})
	if h.Caps().HeaderAlign != 8 {
		t.Error("Caps do not say so")
	}
	var a divertdrv.Address
	a.SetOutbound(true)
	room := make([]byte, 200)
	odd := room[4:36]
	copy(odd, udp4(4))
	p := divertdrv.NewPacket(a, odd)
	if _, err := h.Inject([]divertdrv.Packet{*p}); !errors.Is(err, divertdrv.ErrMisaligned) {
		t.Errorf("Inject: %v", err)
	}
	p.Move(room[104:])
	if _, err := h.Inject([]divertdrv.Packet{*p}); err != nil {
		t.Errorf("Inject after Move: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	s := New(Config{})
	h := open(t, s, "true", divertdrv.Options{})
	c := h.Caps()
	if c.HoldMax != DefaultHoldMax || c.HeaderAlign != 0 || !c.Inject || !c.InjectInbound || !c.LossCounted || !c.Process || c.CutThrough {
		t.Errorf("caps %+v", c)
	}
	if s.Name() != "sim" || h.Driver() != "sim" {
		t.Error("name")
	}
	if err := s.Receive(udp4(0)); err != nil {
		t.Fatal(err)
	}
	b := recv(t, h, 1)
	if b.Packets()[0].Addr.IfIdx() != DefaultIfIdx {
		t.Error("interface")
	}
	pass(t, h, b)
}

// A service on the host that answers from within the callback, to a client on the wire.
func TestCallbacksMayAnswer(t *testing.T) {
	var s *Stack
	var onWire []seen
	answered := 0
	s = New(Config{
		OnHost: func(_ *divertdrv.Address, data []byte) {
			answered++
			if err := s.Send(data); err != nil {
				t.Error(err)
			}
		},
		OnWire: record(&onWire),
	})
	h := open(t, s, "outbound", divertdrv.Options{})
	for range 3 {
		if err := s.Receive(udp4(5)); err != nil {
			t.Fatal(err)
		}
	}
	if answered != 3 || len(onWire) != 0 {
		t.Fatalf("%d answers, %d left", answered, len(onWire))
	}
	pass(t, h, recv(t, h, 3))
	if len(onWire) != 3 {
		t.Errorf("%d left", len(onWire))
	}
}

func TestEnterKeepsTheAddress(t *testing.T) {
	s := New(Config{})
	h := open(t, s, "impostor", divertdrv.Options{})
	var a divertdrv.Address
	a.SetImpostor(true)
	a.SetInterface(3, 4)
	a.Timestamp = 99
	if err := s.Enter(&a, udp4(5)); err != nil {
		t.Fatal(err)
	}
	b := recv(t, h, 1)
	if *b.Packets()[0].Addr != a {
		t.Errorf("address %+v, want %+v", b.Packets()[0].Addr, a)
	}
	pass(t, h, b)
}

func TestEndAndClose(t *testing.T) {
	var out []seen
	s := New(Config{OnWire: record(&out)})
	h, other := open(t, s, "true", divertdrv.Options{}), open(t, s, "true", divertdrv.Options{Priority: 1})
	if err := s.Send(udp4(5)); err != nil {
		t.Fatal(err)
	}
	s.End()
	if err := s.Send(udp4(5)); !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("Send after End: %v", err)
	}
	s.Close()
	if err := s.Receive(udp4(5)); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Receive after Close: %v", err)
	}
	for _, h := range []*divertdrv.Handle{h, other} {
		if err := h.Recv(divertdrv.NewBatch(1, 100)); !errors.Is(err, divertdrv.ErrClosed) {
			t.Errorf("Recv after Close: %v", err)
		}
	}
	if len(out) != 1 {
		t.Error("the unread packet did not go on its way")
	}
	if st := s.Stats(); st.Turned != 2 || st.Entered != 1 {
		t.Errorf("stats %+v", st)
	}
}

// The queue's time limit goes by the stack's clock.
func TestVirtualClock(t *testing.T) {
	c := clock.NewVirtual(time.Unix(0, 0))
	s := New(Config{Clock: c})
	h := open(t, s, "true", divertdrv.Options{})
	for range 2 {
		if err := s.Send(udp4(5)); err != nil {
			t.Fatal(err)
		}
		c.Advance(2001 * time.Millisecond)
	}
	if err := s.Send(udp4(5)); err != nil {
		t.Fatal(err)
	}
	pass(t, h, recv(t, h, 1))
	st := h.Stats()
	if st.LostBy[reason.QueueTime] != 2 {
		t.Errorf("lost %d", st.Lost)
	}
}
