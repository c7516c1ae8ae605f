package processor_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
	"github.com/weirnet/weir/processor"
)

// Hundreds of swaps while TCP runs as fast as it can and numbered datagrams go both ways lose nothing: what was sent arrived, no
// packet was dropped, and every policy judged some.
func TestLiveSwapsUnderLoadLoseNothing(t *testing.T) {
	nettest.Need(t, nettest.Root)
	const (
		swapsMin  = 200
		rounds    = 20
		datagrams = 100 // each way in each round
		bytes     = 64 << 20
	)
	here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	policies := rivals(t)
	s := newHost(t, here.NS)
	sinks := [2]*nettest.Sink{
		nettest.ListenUDP(t, there.NS, netip.AddrPortFrom(there.V4, 7)), nettest.ListenUDP(t, here.NS, netip.AddrPortFrom(here.V4, 7)),
	}
	var load sync.WaitGroup
	load.Go(func() {
		for i, to := range []netip.Addr{there.V4, there.V6} {
			if _, err := nettest.TransferTCP(here.NS, there.NS, netip.AddrPortFrom(to, 0), bytes, uint64(i)); err != nil {
				t.Errorf("to %v: %v", to, err)
			}
		}
	})
	swaps, stop := swapAll(t, s.p, policies)
	defer stop()
	total := 0
	for enough := false; !enough; enough = total >= rounds*datagrams && swaps.Load() >= swapsMin {
		total = crossfire(t, here, there, sinks, total, datagrams)
	}
	load.Wait()
	stop()
	st, _ := s.finish()
	if st.DroppedTotal() != 0 || st.Passed != st.Received || st.Received < uint64(2*total) {
		t.Errorf("after %d swaps: %+v", swaps.Load(), st)
	}
	for _, pol := range policies {
		if _, err := s.p.Apply(pol); err != nil { // Stats tells of the filters of the policy in force
			t.Fatal(err)
		}
		for _, f := range s.p.Stats().Filters {
			if permits := strings.HasPrefix(f.Name, "permit"); permits != (f.Matched > 0) || f.Blocked != 0 {
				t.Errorf("%+v", f)
			}
		}
	}
	t.Logf("%d swaps, %d packets", swaps.Load(), st.Received)
}

// swapAll applies one policy after the other, until it is stopped.
func swapAll(t testing.TB, p *processor.Processor, policies []*processor.Policy) (swaps *atomic.Int64, stop func()) {
	swaps = new(atomic.Int64)
	quit, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := p.Apply(policies[int(swaps.Add(1))%len(policies)]); err != nil {
				t.Error(err)
			}
		}
	}()
	return swaps, sync.OnceFunc(func() { close(quit); <-over })
}

// crossfire sends count datagrams each way, numbered from first on, and says that all arrived so far.
func crossfire(t testing.TB, here, there *nettest.Link, sinks [2]*nettest.Sink, first, count int) (total int) {
	t.Helper()
	total = first + count
	for i, from := range []*nettest.Link{here, there} {
		nettest.SendUDP(t, from.NS, sinks[i].Addr(), nettest.Stream{Count: count, First: uint32(first), Size: 200, Burst: 4, Every: time.Millisecond})
	}
	for i, sink := range sinks {
		if a := sink.WaitQuiet(total, 2*time.Second); a.Received != total || a.Damaged+a.Duplicates+a.Missing != 0 {
			t.Fatalf("way %d: %+v, want %d", i, a, total)
		}
	}
	return total
}

// rivals are policies that permit the same, each by filters of its own, and block what nobody sends.
func rivals(t testing.TB) (policies []*processor.Policy) {
	t.Helper()
	for i := range 3 {
		var filters []processor.Filter
		for _, l := range []processor.Layer{processor.ALEAuthConnect, processor.ALEAuthRecvAccept} {
			filters = append(filters,
				processor.Filter{Name: fmt.Sprintf("permit-%d-%v", i, l), Layer: l, When: match(t, "tcp or udp"), Action: processor.ActionPermit},
				processor.Filter{Name: fmt.Sprintf("block-%d-%v", i, l), Layer: l, Weight: 1, When: match(t, fmt.Sprintf("tcp.DstPort == %d", 81+i)), Action: processor.ActionBlock})
		}
		policies = append(policies, policy(t, filters...))
	}
	return policies
}
