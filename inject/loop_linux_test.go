package inject_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
			f := newForeigner(t, net.Server, net.Right)
			const datagrams = 3
			nettest.SendUDP(t, net.Client.NS, sink.Addr(), nettest.Stream{Count: datagrams, Size: 100})
			for until := time.Now().Add(patience); refused.Load() < datagrams && time.Now().Before(until); {
				time.Sleep(time.Millisecond)
			}
			f.stop()
			st := s.finish()
			if got := sink.Wait(datagrams); got.Received != datagrams || got.Damaged != 0 {
				t.Errorf("arrived: %+v", got)
			}
			if n := f.sent.Load(); n == 0 || n > datagrams*passesMax || st.Injected != uint64(n) {
				t.Errorf("%d datagrams went round %d times, %+v", datagrams, n, st)
			}
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

// foreigner sniffs a link and sends every datagram to port 7 back to the router, as a frame: it has no mark and knows no rank.
type foreigner struct {
	t    testing.TB
	fd   int
	sent atomic.Int64
	quit chan struct{}
	over chan struct{}
}

func newForeigner(t testing.TB, at, router *nettest.Link) *foreigner {
	t.Helper()
	f := &foreigner{t: t, quit: make(chan struct{}), over: make(chan struct{})}
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // in network order
	var err error
	at.NS.Do(func() { f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)) })
	if err != nil {
		t.Fatal(err)
	}
	if err = unix.Bind(f.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: at.Index}); err == nil {
		err = unix.SetsockoptTimeval(f.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000})
	}
	if err != nil {
		_ = unix.Close(f.fd)
		t.Fatal(err)
	}
	go f.run(at, router)
	return f
}

// stop ends it and waits.
func (f *foreigner) stop() {
	close(f.quit)
	<-f.over
	_ = unix.Close(f.fd)
}

func (f *foreigner) run(at, router *nettest.Link) {
	defer close(f.over)
	for frame := make([]byte, 2048); ; {
		select {
		case <-f.quit:
			return
		default:
		}
		n, from, err := unix.Recvfrom(f.fd, frame, 0)
		if err != nil {
			continue // the time is over, or a signal came
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype != unix.PACKET_HOST || n < 34 {
			continue
		}
		pkt := frame[14:n]
		var h wire.Headers
		wire.Parse(pkt, &h)
		if udp := h.UDP(pkt); udp == nil || udp.DstPort() != 7 {
			continue
		}
		if h.Version == 4 {
			pkt[8] = 64
			wire.CalcChecksums(pkt, wire.NoTCP|wire.NoUDP)
		} else {
			pkt[7] = 64
		}
		copy(frame, router.MAC)
		copy(frame[6:], at.MAC)
		if err := unix.Send(f.fd, frame[:n], 0); err != nil {
			f.t.Errorf("send back: %v", err)
		}
		f.sent.Add(1)
	}
}
