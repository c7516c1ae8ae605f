package inject_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/nettest"
)

// passesMax is the bound that is promised for a loop with somebody who knows no ranks.
const passesMax = 64

// A program on the router's link that knows nothing of Weir sends every datagram back to the router with a fresh hop limit, so
// that only Weir can end it. The loop is named and broken, and the next datagram is no worse off for it.
func TestLiveLoopWithAForeignerIsBroken(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for _, six := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", six), func(t *testing.T) {
			net := nettest.NewRouted(t)
			net.Client.SetOffloads(false, nettest.TxChecksum)
			to := net.Server.V4
			if six {
				to = net.Server.V6
			}
			sink := nettest.ListenUDP(t, net.Server.NS, netip.AddrPortFrom(to, 7))
			var mu sync.Mutex
			var loops []inject.Loop
			s := newHost(t, net.Router, divertdrv.NetworkForward, "udp.DstPort == 7", inject.Config{OnLoop: func(l inject.Loop) {
				mu.Lock()
				defer mu.Unlock()
				loops = append(loops, l)
			}})
			var refused atomic.Int64
			s.serve(func(p *divertdrv.Packet) {
				p.Set(divertdrv.Drop, reason.Callout)
				if s.j.Inject(nil, inject.Injection{Packet: p.Clone(), Path: inject.Forward}) != nil {
					refused.Add(1)
				}
			})
			var sent atomic.Int64
			tap := foreigner(t, net.Server, net.Right, &sent)
			const datagrams = 3
			nettest.SendUDP(t, net.Client.NS, sink.Addr(), nettest.Stream{Count: datagrams, Size: 100})
			for until := time.Now().Add(patience); refused.Load() < datagrams && time.Now().Before(until); {
				time.Sleep(time.Millisecond)
			}
			tap.Close()
			st := s.finish()
			if got := sink.Wait(datagrams); got.Received != datagrams || got.Damaged != 0 {
				t.Errorf("arrived: %+v", got)
			}
			if n := sent.Load(); n == 0 || n > datagrams*passesMax || st.Injected != uint64(n) {
				t.Errorf("%d datagrams went round %d times, %+v", datagrams, n, st)
			}
			t.Logf("%d datagrams went round %d times", datagrams, sent.Load())
			if in := s.j.Stats(); refused.Load() != datagrams || in.LoopsBroken != datagrams || in.Returned == 0 {
				t.Errorf("%d refused, %+v", refused.Load(), in)
			}
			mu.Lock()
			defer mu.Unlock()
			broken := 0
			for _, l := range loops {
				if l.Flow.Proto() != wire.ProtoUDP || l.Passes < 1 || l.Passes > passesMax {
					t.Errorf("told of %v", l)
				}
				if l.Broken {
					broken++
				}
			}
			if len(loops) != 2*datagrams || broken != datagrams {
				t.Errorf("told of %d loops, %d of them broken: %v", len(loops), broken, loops)
			}
		})
	}
}

// foreigner sends every datagram to port 7 that reaches the server back to the router: it has no mark and knows no rank.
func foreigner(t testing.TB, at, router *nettest.Link, sent *atomic.Int64) *nettest.Tap {
	t.Helper()
	return nettest.NewTap(t, at, func(tap *nettest.Tap, pkt []byte) {
		var h wire.Headers
		wire.Parse(pkt, &h)
		if udp := h.UDP(pkt); udp == nil || udp.DstPort() != 7 {
			return
		}
		if h.Version == 4 {
			pkt[8] = 64
			wire.CalcChecksums(pkt, wire.NoTCP|wire.NoUDP)
		} else {
			pkt[7] = 64
		}
		if err := tap.Send(router, pkt); err != nil {
			t.Error(err)
		}
		sent.Add(1)
	})
}
