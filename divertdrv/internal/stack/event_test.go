package stack_test

import (
	"strconv"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/divertdrv/reason"
)

func itoa(n int) string { return strconv.Itoa(n) }

// event is one of the FLOW or SOCKET layer about a local port.
func event(e addr.Event, port uint16) *divertdrv.Address {
	var a divertdrv.Address
	l := addr.LayerSocket
	if e <= addr.EventDeleted {
		l = addr.LayerFlow
	}
	a.SetLayer(l, e)
	f := a.Flow()
	f.Local = portOf(port)
	a.SetFlow(f)
	return &a
}

func (r *rig) emit(a *divertdrv.Address) (blocked bool) {
	r.Do(func() { blocked = r.Emit(a, r.Opened()) })
	return blocked
}

// ports receives events and returns their local ports.
func (r *rig) ports(h *divertdrv.Handle) (ports []uint16) {
	r.t.Helper()
	addrs, _ := r.told(h)
	for _, a := range addrs {
		ports = append(ports, a.Flow().Local.Port())
	}
	return ports
}

// windivert.md, section 3: a SOCKET handle without SNIFF blocks everything that matches, but for CLOSE.
func TestSocketHandleBlocks(t *testing.T) {
	r := newRig(t)
	low := r.openAt("true", divertdrv.LayerSocket, divertdrv.Options{Flags: observes, Priority: -1})
	block := r.openAt("localPort == 1", divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.RecvOnly})
	drop := r.openAt("localPort == 2", divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.RecvOnly | divertdrv.DropAll})
	high := r.openAt("true", divertdrv.LayerSocket, divertdrv.Options{Flags: observes, Priority: 1})
	for _, c := range []struct {
		event   addr.Event
		port    uint16
		blocked bool
	}{
		{addr.EventBind, 1, true},
		{addr.EventConnect, 2, true},
		{addr.EventListen, 3, false},
		{addr.EventClose, 1, false},
		{addr.EventClose, 2, false},
	} {
		if got := r.emit(event(c.event, c.port)); got != c.blocked {
			t.Errorf("%v of %d: blocked is %v", c.event, c.port, got)
		}
	}
	for h, want := range map[*divertdrv.Handle][]uint16{high: {1, 2, 3, 1, 2}, low: {3, 1, 2}} {
		if got := r.ports(h); len(got) != len(want) || got[0] != want[0] {
			t.Errorf("ports %v, want %v", got, want)
		}
	}
	b := divertdrv.NewBatch(8, 100)
	if err := block.Recv(b); err != nil || b.Len() != 2 {
		t.Fatalf("%v, %d events", err, b.Len())
	}
	if p := b.Packets(); p[0].Addr.Sniffed() || !p[1].Addr.Sniffed() || len(p[0].Data) != 0 {
		t.Errorf("sniffed: %v, %v", p[0].Addr.Sniffed(), p[1].Addr.Sniffed())
	}
	r.complete(block, b, divertdrv.Pass)
	st := block.Stats()
	mustBe(t, "passed: a close goes on", st.Passed, 1)
	mustBe(t, "dropped: what was blocked stays so", st.Dropped[reason.SendFailed], 1)
	mustBe(t, "dropped in the driver", drop.Stats().Dropped[reason.DropHandle], 1)
}

// Without room for the event its overload policy says whether a handle still blocks.
func TestSocketOverload(t *testing.T) {
	for policy, blocks := range map[divertdrv.Overload]bool{
		divertdrv.OverloadShedOldest: true, divertdrv.OverloadClosed: true, divertdrv.OverloadOpen: false,
	} {
		r := newRig(t)
		h := r.openAt("true", divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.RecvOnly, Overload: policy})
		_ = h.SetParam(addr.QueueLength, 32)
		for range 32 {
			r.emit(event(addr.EventBind, 1))
		}
		if got := r.emit(event(addr.EventBind, 1)); got != blocks {
			t.Errorf("policy %d: blocked is %v", policy, got)
		}
	}
}

// Flows that follow from packets of a Source are not shed: reading goes on when they were read.
func TestFlowsOfASourceAreKept(t *testing.T) {
	const packets = 5000
	var s *rig
	s = newRig(t, withSource(packets, true), func(c *stack.Config) {
		c.Entering = func(_ *divertdrv.Address, data []byte) {
			s.Emit(event(addr.EventEstablished, uint16(number(data))), s.Opened())
		}
	})
	flows := s.openAt("true", divertdrv.LayerFlow, divertdrv.Options{Flags: observes})
	b, n := divertdrv.NewBatch(64, 1<<16), 0
	for flows.Recv(b) == nil {
		for _, p := range b.Packets() {
			if n++; int(p.Addr.Flow().Local.Port()) != n {
				t.Fatalf("event %d is of packet %d", n, p.Addr.Flow().Local.Port())
			}
		}
		s.complete(flows, b, divertdrv.Drop)
	}
	mustBe(t, "events", uint64(n), packets)
	mustBe(t, "lost", flows.Stats().Lost, 0)
	s.hasLeft(upTo(packets)...)
}

// A REFLECT handle is no reader of packets: it does not pull.
func TestReflectDoesNotPull(t *testing.T) {
	r := newRig(t, withSource(3, true))
	watch := r.openAt("true", divertdrv.LayerReflect, divertdrv.Options{Flags: observes})
	done := r.blocked(watch)
	r.hasLeft()
	h := r.open("false", 0, 0)
	wantErr(t, done, nil)
	r.ended(h, divertdrv.ErrShutdown)
	r.hasLeft(1, 2, 3)
	r.ended(watch, divertdrv.ErrShutdown)
}
