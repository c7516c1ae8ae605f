package nfqdrv_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Everything is diverted and passed, and programs notice nothing.
func TestProgramsNoticeNothing(t *testing.T) {
	b := newBench(t)
	h := b.open("true", divertdrv.Options{})
	relay(t, h, nil)
	for _, to := range []netip.Addr{b.there.V4, b.there.V6, b.here.V4, b.here.V6} {
		for _, size := range []int{56, 4000} {
			n, err := nettest.Ping(b.here.NS, to, nettest.Echo{Count: 3, Size: size, Wait: 2 * time.Second})
			if n != 3 || err != nil {
				t.Errorf("ping %v with %d bytes: %d of 3 answers, %v", to, size, n, err)
			}
		}
	}
	for _, to := range []netip.Addr{b.there.V4, b.there.V6} {
		tr := nettest.MustTransferTCP(t, b.here.NS, b.there.NS, to, 50<<20)
		t.Logf("TCP to %v: %+v", to, tr)
	}
	if bad := b.there.NS.Counters().BadChecksums() + b.here.NS.Counters().BadChecksums(); bad != 0 {
		t.Errorf("%d bad checksums", bad)
	}
	st := h.Stats()
	t.Logf("%+v", st)
	if st.Received == 0 || st.Lost != 0 || st.Passed+st.InBatch != st.Received {
		t.Errorf("%+v", st)
	}
}
