package nfqdrv_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Packets with the very bytes of some that waited while another program opened a handle, elsewhere even, are seen: by the handle
// that passed those, and by one that is opened after it. None goes by in silence.
func TestTwinsAreSeen(t *testing.T) {
	b := newBench(t)
	const filter, n = "udp.DstPort == 7", 50
	send := func() {
		low := b.open(filter, divertdrv.Options{Flags: divertdrv.SendOnly, Priority: 9})
		defer low.Close()
		for i := range byte(n) {
			b.inject(low, i)
		}
	}
	elsewhere := driverIn(nettest.NewNamespace(t))
	first := b.open(filter, divertdrv.Options{})
	send()
	waiting := take(t, first, n)
	openAt(t, elsewhere, "false", divertdrv.Network, divertdrv.Options{})
	passAll(t, first, waiting)
	over := start(t, first, nil)
	send() // at once: within the time for which the others are remembered
	waitFor(t, "the twins at the first handle", func() bool { st := first.Stats(); return st.Passed+st.Repeated == 2*n })
	if st := first.Stats(); st.Received != 2*n || st.Repeated != 0 {
		t.Errorf("the first handle: %+v, want %d received", st, 2*n)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	<-over
	second := b.open(filter, divertdrv.Options{})
	relay(t, second, nil)
	send()
	waitFor(t, "the twins at the second", func() bool { st := second.Stats(); return st.Passed+st.Repeated == n })
	if st := second.Stats(); st.Received != n || st.Repeated != 0 {
		t.Errorf("the second handle: %+v, want %d received", st, n)
	}
}

// Twins that wait together with those that a handle above has the kernel show again are seen too, each once.
func TestTwinsBesideEchoes(t *testing.T) {
	b := newBench(t)
	const filter, n = "udp.DstPort == 7", 20
	low := b.open(filter, divertdrv.Options{})
	inject := b.open(filter, divertdrv.Options{Flags: divertdrv.SendOnly, Priority: 9})
	for range 2 {
		for i := range byte(n) {
			b.inject(inject, i)
		}
	}
	waiting := take(t, low, n)
	high := b.open(filter, divertdrv.Options{Priority: 1})
	passAll(t, low, waiting)
	passAll(t, low, take(t, low, n))
	waitFor(t, "what is shown again", func() bool { // both handles are read by their keepers meanwhile
		return low.Stats().Repeated+high.Stats().Repeated >= 2*n
	})
	if st := low.Stats(); st.Received != 2*n || st.Passed != 2*n {
		t.Errorf("the low handle: %+v, want %d", st, 2*n)
	}
	if st := high.Stats(); st.Received != 0 {
		t.Errorf("the high handle: %+v, want none", st)
	}
}
