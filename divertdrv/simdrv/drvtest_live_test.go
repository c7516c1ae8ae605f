package simdrv_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// The suite on a host like a live one: time is the system's, packets are under way for a while, and there are others around.
// So a World on a kernel can be built.
func TestDriverInRealTime(t *testing.T) {
	drvtest.TestDriver(t, drvtest.Setup{New: func(t drvtest.T) *drvtest.World {
		w := simtest.New(t, simdrv.Config{Interfaces: simtest.Interfaces(), Clock: clock.System})
		l := &live{Network: w.Network, road: make(chan departure, 4096)}
		w.Network = l
		end := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { l.carry() })
		all.Go(func() { l.chatter(end) })
		t.Cleanup(func() {
			close(end)
			l.closeRoad()
			all.Wait()
		})
		return w
	}})
}

// live is a network on which packets take their time.
type live struct {
	drvtest.Network

	mu     sync.RWMutex // guards closed, and that nothing is sent on a road that is closed
	closed bool
	road   chan departure

	under sync.WaitGroup // the packets that are on the road
}

type departure struct {
	way  drvtest.Way
	data []byte
}

func (l *live) Send(w drvtest.Way, data []byte) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !l.closed {
		l.under.Add(1)
		l.road <- departure{w, bytes.Clone(data)}
	}
	return nil
}

func (l *live) closeRoad() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	close(l.road)
}

// carry brings packets in their order, each a while after it was sent.
func (l *live) carry() {
	for d := range l.road {
		if len(l.road) == 0 {
			time.Sleep(50 * time.Microsecond)
		}
		_ = l.Network.Send(d.way, d.data)
		l.under.Done()
	}
}

// Settle waits until what was sent has arrived.
func (l *live) Settle() { l.under.Wait() }

// chatter is what others send meanwhile, both ways.
func (l *live) chatter(end <-chan struct{}) {
	local, remote := netip.MustParseAddrPort("192.0.2.1:5353"), netip.MustParseAddrPort("198.51.100.2:53")
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		select {
		case <-end:
			tick.Stop()
			return
		case <-tick.C:
			_ = l.Network.Send(drvtest.Outbound, datagram(local, remote))
			_ = l.Network.Send(drvtest.Inbound, datagram(remote, local))
		}
	}
}

func datagram(src, dst netip.AddrPort) []byte {
	b := make([]byte, wire.IPv4HeaderLen+wire.UDPHeaderLen+5)
	b[0], b[8], b[9] = 0x45, 64, wire.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	udp := b[wire.IPv4HeaderLen:]
	binary.BigEndian.PutUint16(udp, src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	wire.CalcChecksums(b, 0)
	return b
}
