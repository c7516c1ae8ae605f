package nfqdrv_test

import (
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// take receives n packets into batches of their own and returns those, unjudged.
func take(t testing.TB, h *divertdrv.Handle, n int) (all []*divertdrv.Batch) {
	t.Helper()
	for got := 0; got < n; {
		b := divertdrv.NewBatch(n-got, 1<<20)
		if err := h.Recv(b); err != nil {
			t.Fatal(err)
		}
		got += b.Len()
		all = append(all, b)
	}
	return all
}

func passAll(t testing.TB, h *divertdrv.Handle, all []*divertdrv.Batch) {
	t.Helper()
	for _, b := range all {
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(b); err != nil {
			t.Fatal(err)
		}
	}
}

// A handle that is opened above others sees packets from then on; those that are in the hands of handles below it go on below
// them, and nobody sees them twice.
func TestOpenAboveDoesNotDisturb(t *testing.T) {
	b := newBench(t)
	const filter, n = "udp.DstPort == 7", 40
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	low := b.open(filter, divertdrv.Options{})
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: n, Size: 100})
	batches := take(t, low, n)
	b.open(filter, divertdrv.Options{Priority: 2})
	b.open(filter, divertdrv.Options{Priority: 1})
	passAll(t, low, batches)
	if got := sink.Wait(n); got.Received != n || got.Duplicates != 0 {
		t.Errorf("arrived: %+v, want %d", got, n)
	}
	if st := low.Stats(); st.Received != n || st.Passed != n {
		t.Errorf("received %d, passed %d; want %d", st.Received, st.Passed, n)
	}
}
