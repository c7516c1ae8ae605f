package stack_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestInjectVisitsLowerHandlesOnly(t *testing.T) {
	r := newRig(t)
	low, mid := r.open("true", 0, 0), r.open("true", 1, 0)
	r.open("true", 2, 0)
	r.open("true", 1, 0) // as high as mid, but newer: above it
	if n, err := mid.Inject(free(outbound(), packet(1))); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r.hasLeft()
	r.pass(low, 1)
	r.hasLeft(1)
	st := mid.Stats()
	mustBe(t, "completed", st.Completed, 1)
}

func TestInjectRefuses(t *testing.T) {
	r := newRig(t, func(c *stack.Config) { c.Caps.HeaderAlign = 8 })
	h := r.open("false", 0, 0)
	whole := make([]byte, 64)
	odd := whole[1:33]
	copy(odd, packet(2))
	inbound := outbound()
	inbound.SetOutbound(false)
	short := packet(2)
	short[3]++ // says more than there is
	impostor := outbound()
	impostor.SetImpostor(true)
	last := packet(2)
	last[8] = 1
	for _, c := range []struct {
		name string
		addr *divertdrv.Address
		data []byte
		want error
	}{
		{"whole", outbound(), packet(2), nil},
		{"not IP", outbound(), []byte("hello, world, this is text"), divertdrv.ErrMalformed},
		{"empty", outbound(), nil, divertdrv.ErrMalformed},
		{"longer than it is", outbound(), short, divertdrv.ErrMalformed},
		{"shorter than it is", outbound(), append(packet(2), 0), divertdrv.ErrMalformed},
		{"too big", outbound(), make([]byte, divertdrv.MTUMax+1), divertdrv.ErrTooBig},
		{"misaligned", outbound(), odd, divertdrv.ErrMisaligned},
		{"misaligned inbound", inbound, odd, nil},
		{"hop limit 1", impostor, last, divertdrv.ErrHopLimit},
	} {
		if _, err := h.Inject(free(c.addr, c.data)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	r.hasLeft(2, 2)
}

func TestInjectStopsAtTheFirstError(t *testing.T) {
	r := newRig(t)
	h := r.open("false", 0, 0)
	var p []divertdrv.Packet
	for _, n := range []int{1, 2, 4} {
		p = append(p, free(outbound(), packet(n))...)
	}
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		if number(data) == 2 {
			return errFull
		}
		return nil
	}
	if n, err := h.Inject(p); n != 1 || !errors.Is(err, divertdrv.ErrUnreachable) {
		t.Errorf("Inject: %d, %v", n, err)
	}
	r.hasLeft(1)
	st := h.Stats()
	mustBe(t, "completed", st.Completed, 1)
	mustBe(t, "failed", st.Failed, 1)
}

// windivert.md, section 2: Impostor on send costs a hop, in the driver's own copy; the driver knows its own packets afterwards.
func TestImpostorPaysOneHop(t *testing.T) {
	r := newRig(t)
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	a := outbound()
	a.SetImpostor(true)
	given := packet(2)
	if _, err := high.Inject(free(a, given)); err != nil {
		t.Fatal(err)
	}
	if given[8] != 64 {
		t.Errorf("the caller's TTL became %d", given[8])
	}
	b := r.recv(low, 2)
	p := b.Packets()[0]
	if p.Data[8] != 63 || p.Addr.Impostor() {
		t.Errorf("TTL %d, impostor %v", p.Data[8], p.Addr.Impostor())
	}
	if ip, _ := wire.Verify(p.Data, p.Headers()); ip != wire.SumGood {
		t.Errorf("IP checksum is %v", ip)
	}
	r.complete(low, b, divertdrv.Drop)

	// An impostor that came in keeps its mark for every handle; passing it changes no byte.
	if err := r.Enter(a, given); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*divertdrv.Handle{high, low} {
		b := r.recv(h, 2)
		if p := b.Packets()[0]; !p.Addr.Impostor() || !bytes.Equal(p.Data, given) {
			t.Error("the impostor changed")
		}
		r.complete(h, b, divertdrv.Pass)
	}
}

func TestInjectSetsWhatTheDriverKnows(t *testing.T) {
	r := newRig(t)
	a := outbound()
	a.SetIPv6(true)
	a.SetSniffed(true)
	a.SetLayer(addr.LayerReflect, addr.EventOpen)
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	p := free(a, packet(2))
	if _, err := high.Inject(p); err != nil {
		t.Fatal(err)
	}
	b := r.recv(low, 2)
	got := b.Packets()[0].Addr
	if got.IPv6() || got.Sniffed() || got.Layer() != addr.Network || got.Event() != addr.EventPacket || !got.Outbound() {
		t.Errorf("address %+v", got)
	}
	if got.Timestamp != r.clock.Now().UnixNano() {
		t.Errorf("timestamp %d", got.Timestamp)
	}
	if p[0].Addr.Timestamp != 0 || !p[0].Addr.Sniffed() {
		t.Error("the caller's Address was changed")
	}
	r.complete(low, b, divertdrv.Pass)
}

// A packet that was cut to fit a small batch cannot go on.
func TestCutPacketFails(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	if err := r.Enter(outbound(), packetOf(2, 100)); err != nil {
		t.Fatal(err)
	}
	r.enter(4)
	b := divertdrv.NewBatch(8, 64)
	if err := h.Recv(b); err != nil || b.Len() != 1 || len(b.Packets()[0].Data) != 64 {
		t.Fatal(err, b.Len())
	}
	r.complete(h, b, divertdrv.Pass)
	r.hasLeft()
	r.pass(h, 4)
	st := h.Stats()
	if st.DroppedTotal() != 1 || st.Passed != 1 {
		t.Errorf("stats %+v", st)
	}
}
