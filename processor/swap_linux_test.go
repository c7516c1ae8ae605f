package processor_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
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
	var load, swapper sync.WaitGroup
	load.Go(func() {
		for i, to := range []netip.Addr{there.V4, there.V6} {
			if _, err := nettest.TransferTCP(here.NS, there.NS, netip.AddrPortFrom(to, 0), bytes, uint64(i)); err != nil {
				t.Errorf("to %v: %v", to, err)
			}
		}
	})
	swaps, quit := 0, make(chan struct{})
	swapper.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := s.p.Apply(policies[swaps%len(policies)]); err != nil {
				t.Error(err)
			}
			swaps++
		}
	})
	ways := [][2]*nettest.Link{{here, there}, {there, here}}
	var sinks [2]*nettest.Sink
	for i, way := range ways {
		sinks[i] = nettest.ListenUDP(t, way[1].NS, netip.AddrPortFrom(way[1].V4, 7))
	}
	for round := range rounds {
		for i, way := range ways {
			nettest.SendUDP(t, way[0].NS, sinks[i].Addr(), nettest.Stream{
				Count: datagrams, First: uint32(round * datagrams), Size: 200, Burst: 4, Every: time.Millisecond,
			})
		}
	}
	load.Wait()
	for i, sink := range sinks {
		if a := sink.WaitQuiet(rounds*datagrams, 2*time.Second); a.Received != rounds*datagrams || a.Damaged+a.Duplicates+a.Missing != 0 {
			t.Errorf("way %d: %+v", i, a)
		}
	}
	close(quit)
	swapper.Wait()
	st, _ := s.finish()
	if swaps < swapsMin {
		t.Errorf("%d swaps, want at least %d", swaps, swapsMin)
	}
	if st.DroppedTotal() != 0 || st.Passed != st.Received || st.Received < 2*rounds*datagrams {
		t.Errorf("after %d swaps: %+v", swaps, st)
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
	t.Logf("%d swaps, %d packets", swaps, st.Received)
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
