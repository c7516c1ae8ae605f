package simdrv

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// pieces cuts a packet as a host with an MTU of 300 does.
func pieces(t *testing.T, data []byte) [][]byte {
	t.Helper()
	var all [][]byte
	s := New(Config{MTU: 300, OnWire: func(_ *divertdrv.Address, data []byte) { all = append(all, bytes.Clone(data)) }})
	must(t, s.Send(data))
	return all
}

// whole is a datagram that needs three pieces.
func whole() []byte { return named(udp4(700)) }

// named gives a packet of IPv4 an identification; its fragments would have one of the stack's choosing.
func named(data []byte) []byte {
	data[5] = 7
	wire.CalcChecksums(data, 0)
	return data
}

// windivert.md, section 3: inbound without FRAGMENTS reassembled packets only; with it fragments, not reassembled.
func TestFragmentsFlag(t *testing.T) {
	for _, data := range [][]byte{whole(), udp6(700)} {
		var host []seen
		s := New(Config{OnHost: record(&host)})
		whole := open(t, s, "udp.SrcPort == 0", divertdrv.Options{Priority: 1}) // later fragments have no port
		parts := open(t, s, "fragment", divertdrv.Options{Priority: -1, Flags: divertdrv.Fragments})
		all := pieces(t, data)
		for _, p := range all {
			must(t, s.Receive(p))
		}
		b := recv(t, parts, len(all))
		for i, p := range b.Packets() {
			if !bytes.Equal(p.Data, all[i]) {
				t.Errorf("fragment %d is another", i)
			}
		}
		pass(t, parts, b)
		b = recv(t, whole, 1)
		if p := b.Packets()[0]; !bytes.Equal(p.Data, data) || p.Addr.Outbound() || p.Headers().Fragment {
			t.Errorf("whole: %d bytes, want %d", len(p.Data), len(data))
		}
		pass(t, whole, b)
		if len(host) != 1 || !bytes.Equal(host[0].data, data) {
			t.Errorf("the host got %d packets", len(host))
		}
		// What came in one piece is for both.
		must(t, s.Receive(data))
		pass(t, whole, recv(t, whole, 1))
		s.End()
		if err := parts.Recv(divertdrv.NewBatch(1, 1000)); !errors.Is(err, divertdrv.ErrShutdown) {
			t.Errorf("Recv: %v", err)
		}
	}
}

// What a handle of fragments holds back is missing in the whole.
func TestDroppedFragment(t *testing.T) {
	var host []seen
	s := New(Config{OnHost: record(&host)})
	parts := open(t, s, "fragment", divertdrv.Options{Flags: divertdrv.Fragments})
	for _, p := range pieces(t, whole()) {
		must(t, s.Receive(p))
	}
	b := recv(t, parts, 3)
	for i := range b.Packets() {
		if i != 1 {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
	}
	must(t, parts.Complete(b))
	if st := s.Stats(); len(host) != 0 || st.Fragments != 2 || st.Wholes != 0 {
		t.Errorf("stats %+v", st)
	}
}

// Outbound and forwarded fragments are packets like others (windivert.md, section 3), and so is what a Source makes.
func TestFragmentsThatStay(t *testing.T) {
	s := New(Config{})
	h := open(t, s, "fragment", divertdrv.Options{})
	forward := openAt(t, s, "fragment", addr.NetworkForward, divertdrv.Options{})
	for _, p := range pieces(t, whole()) {
		must(t, s.Send(p))
		must(t, s.Forward(p))
	}
	pass(t, h, recv(t, h, 3))
	pass(t, forward, recv(t, forward, 3))
}

// A handle never sees what it sent (windivert.md, section 3), not even joined to a whole; those below it do, and those above
// see the whole of what came from the wire, whoever passed its fragments.
func TestRanksOfWholes(t *testing.T) {
	s := New(Config{})
	high := open(t, s, "true", divertdrv.Options{Priority: 3})
	parts := open(t, s, "fragment", divertdrv.Options{Priority: 2, Flags: divertdrv.Fragments})
	low := open(t, s, "true", divertdrv.Options{Priority: 1})
	all := pieces(t, whole())

	var a divertdrv.Address
	a.SetChecksums(true)
	a.SetInterface(1, 0)
	for i, p := range all {
		if i == 1 { // one of three: that is enough
			_, err := high.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, p)})
			must(t, err)
		} else {
			must(t, s.Receive(p))
		}
	}
	pass(t, parts, recv(t, parts, 3))
	pass(t, low, recv(t, low, 1)) // and high saw nothing: the next is its first

	for _, p := range all {
		must(t, s.Receive(p))
	}
	b := recv(t, parts, 3)
	hd, err := b.Hold(2, 0, divertdrv.Drop)
	must(t, err)
	passRest(t, parts, b)
	must(t, hd.Release(divertdrv.Pass, 0))
	pass(t, high, recv(t, high, 1))
	pass(t, low, recv(t, low, 1))

	for _, p := range all {
		_, err := parts.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, p)})
		must(t, err)
	}
	pass(t, low, recv(t, low, 1))
	s.End()
	for _, h := range []*divertdrv.Handle{high, parts, low} {
		if err := h.Recv(divertdrv.NewBatch(1, 1000)); !errors.Is(err, divertdrv.ErrShutdown) {
			t.Errorf("Recv: %v", err)
		}
	}
}

// passRest is pass for a batch with held packets.
func passRest(t *testing.T, h *divertdrv.Handle, b *divertdrv.Batch) {
	t.Helper()
	for i := range b.Packets() {
		if !b.IsHeld(i) {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
	}
	must(t, h.Complete(b))
}

// A handle of whole packets waits at the end for fragments that a lower one of fragments has.
func TestEndWaitsForFragments(t *testing.T) {
	s := New(Config{})
	high := open(t, s, "true", divertdrv.Options{Priority: 3})
	parts := open(t, s, "fragment", divertdrv.Options{Flags: divertdrv.Fragments})
	for _, p := range pieces(t, whole()) {
		must(t, s.Receive(p))
	}
	s.End()
	done := make(chan error)
	go func() {
		b := divertdrv.NewBatch(1, 1000)
		err := high.Recv(b)
		if err == nil {
			b.Packets()[0].Set(divertdrv.Pass, 0)
			err = high.Complete(b)
		}
		done <- err
	}()
	pass(t, parts, recv(t, parts, 3))
	must(t, <-done)
}

func TestReassemblyAllocatesNothing(t *testing.T) {
	s := New(Config{})
	h := open(t, s, "true", divertdrv.Options{})
	all, b := pieces(t, whole()), divertdrv.NewBatch(8, 1<<16)
	if n := testing.AllocsPerRun(200, func() {
		for _, p := range all {
			must(t, s.Receive(p))
		}
		must(t, h.Recv(b))
		pass(t, h, b)
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
