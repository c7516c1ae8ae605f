package stack_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

func TestHigherPriorityIsFirst(t *testing.T) {
	r := newRig(t)
	low, high := r.open("true", -5, 0), r.open("true", 7, 0)
	r.enter(1, 2)
	r.pass(high, 1, 2)
	r.hasLeft()
	r.pass(low, 1, 2)
	r.hasLeft(1, 2)
}

func TestEqualPrioritiesNewestFirst(t *testing.T) {
	r := newRig(t)
	var hs []*divertdrv.Handle
	for range 3 {
		hs = append(hs, r.open("true", 0, 0))
	}
	r.enter(1)
	for i := range hs {
		r.pass(hs[len(hs)-1-i], 1)
	}
	r.hasLeft(1)
}

func TestWhatNoFilterMatchesPassesBy(t *testing.T) {
	r := newRig(t)
	udp := r.open("udp", 1, 0)
	r.open("false", 2, 0)
	r.enter(1, 2, 3)
	r.hasLeft(1, 3)
	r.pass(udp, 2)
	r.hasLeft(1, 3, 2)
}

func TestLayersAreApart(t *testing.T) {
	r := newRig(t)
	h, err := divertdrv.Open("true", divertdrv.NetworkForward, &divertdrv.Options{Driver: r})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	r.enter(1)
	r.hasLeft(1)
	a := outbound()
	a.SetLayer(addr.NetworkForward, addr.EventPacket)
	if err := r.Enter(a, packet(2)); err != nil {
		t.Fatal(err)
	}
	r.pass(h, 2)
	r.hasLeft(1, 2)
	a.SetLayer(addr.LayerFlow, addr.EventEstablished)
	if err := r.Enter(a, nil); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("Enter at FLOW: %v", err)
	}
}

func TestSniffCopiesAndWalksOn(t *testing.T) {
	r := newRig(t)
	sniff, below := r.open("true", 9, divertdrv.Sniff), r.open("udp", 0, 0)
	r.enter(1, 2)
	r.hasLeft(1)
	b := r.recv(sniff, 1, 2)
	for _, p := range b.Packets() {
		if !p.Addr.Sniffed() {
			t.Error("Sniffed is not set on a copy")
		}
	}
	r.complete(sniff, b, divertdrv.Pass) // a copy goes nowhere
	r.hasLeft(1)
	b = r.recv(below, 2)
	if b.Packets()[0].Addr.Sniffed() {
		t.Error("Sniffed is set on the packet itself")
	}
	r.complete(below, b, divertdrv.Pass)
	r.hasLeft(1, 2)
}

func TestDropAllNeverReceives(t *testing.T) {
	r := newRig(t)
	drop := r.open("udp", 5, divertdrv.DropAll)
	r.enter(1, 2, 3, 4)
	r.hasLeft(1, 3)
	st := drop.Stats()
	mustBe(t, "received", st.Received, 2)
	mustBe(t, "dropped", st.Dropped[reason.DropHandle], 2)
}

func TestSendOnlyReceivesNothing(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 5, divertdrv.SendOnly)
	r.enter(1)
	r.hasLeft(1)
	r.ended(h, divertdrv.ErrUnsupported)
	if _, err := h.Inject(free(outbound(), packet(2))); err != nil {
		t.Error(err)
	}
	r.hasLeft(1, 2)
}

func TestRecvOnlyCannotPass(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 5, divertdrv.RecvOnly)
	r.enter(1)
	r.pass(h, 1)
	r.hasLeft()
	st := h.Stats()
	mustBe(t, "send failed", st.Dropped[reason.SendFailed], 1)
	if _, err := h.Inject(free(outbound(), packet(2))); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("Inject: %v", err)
	}
}

func TestDropGoesNoFurther(t *testing.T) {
	r := newRig(t)
	high := r.open("true", 1, 0)
	r.open("true", 0, 0)
	r.enter(1, 2, 3)
	b := r.recv(high, 1, 2, 3)
	b.Packets()[1].Set(divertdrv.Drop, reason.Filter)
	r.completeAs(high, b)
	st := high.Stats()
	mustBe(t, "by filter", st.Dropped[reason.Filter], 1)
	mustBe(t, "unmarked", st.Dropped[reason.Unmarked], 2)
	r.hasLeft()
}

func TestChangedBytesWalkOn(t *testing.T) {
	r := newRig(t)
	high, low := r.open("true", 1, 0), r.open("tcp", 0, 0)
	r.enter(2)
	b := r.recv(high, 2)
	p := &b.Packets()[0]
	if err := p.Resize(40); err != nil {
		t.Fatal(err)
	}
	copy(p.Edit(), packet(3)) // a UDP datagram becomes a TCP segment, which the lower filter matches
	p.Data = p.Data[:40]
	p.Set(divertdrv.Pass, 0)
	r.completeAs(high, b)
	r.hasLeft()
	r.pass(low, 3)
	r.hasLeft(3)
}

func TestSinkErrorFailsThePacket(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	r.enter(1, 2, 3)
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		switch number(data) {
		case 1:
			return errFull
		case 2:
			return divertdrv.ErrTooBig
		}
		return nil
	}
	r.pass(h, 1, 2, 3)
	r.hasLeft(3)
	st := h.Stats()
	mustBe(t, "send failed", st.Dropped[reason.SendFailed], 1)
	mustBe(t, "too big", st.Dropped[reason.TooBig], 1)
	mustBe(t, "passed", st.Passed, 1)
	mustBe(t, "refused", r.Stats().Refused, 2)
	if err := r.Enter(outbound(), packet(5)); err != nil {
		t.Error(err)
	}
}

// No filter matches what is not an IP packet, so it passes every handle byte for byte.
func TestForeignBytesPassUndecoded(t *testing.T) {
	r := newRig(t)
	r.open("true", 0, 0)
	var left []string
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		left = append(left, string(data))
		return errFull // number would not find one
	}
	garbage := "\x99 this is not an IP packet"
	for _, data := range []string{garbage, garbage[:1], ""} {
		if err := r.Enter(outbound(), []byte(data)); !errors.Is(err, errFull) {
			t.Fatal(err)
		}
	}
	if !slices.Equal(left, []string{garbage, garbage[:1], ""}) {
		t.Errorf("left: %q", left)
	}
}

func TestOversizePassesEveryHandle(t *testing.T) {
	r := newRig(t)
	r.open("true", 0, 0)
	if err := r.Enter(outbound(), make([]byte, divertdrv.MTUMax+1)); err != nil {
		t.Fatal(err)
	}
	r.hasLeft(0)
	mustBe(t, "oversize", r.Stats().Oversize, 1)
}
