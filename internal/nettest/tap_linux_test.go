package nettest_test

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

// A tap sees each datagram once, and what it sends back the other end takes for a packet.
func TestTap(t *testing.T) {
	nettest.Need(t, nettest.Root)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	a.SetOffloads(false, nettest.TxChecksum) // or the checksum that is sent back is not final
	var seen atomic.Int64
	tap := nettest.NewTap(t, b, func(tap *nettest.Tap, packet []byte) {
		if packet[0]>>4 != 4 || packet[9] != 17 {
			return
		}
		seen.Add(1)
		back := bytes.Clone(packet) // its sums do not change when the ends change sides
		copy(back[12:], packet[16:20])
		copy(back[16:], packet[12:16])
		if err := tap.Send(a, back); err != nil {
			t.Error(err)
		}
	})
	sink := nettest.ListenUDP(t, a.NS, netip.AddrPortFrom(a.V4, 7))
	there := nettest.ListenUDP(t, b.NS, netip.AddrPortFrom(b.V4, 7)) // a closed port would answer, and so stop the sender
	const count = 20
	nettest.SendUDP(t, a.NS, there.Addr(), nettest.Stream{Count: count, Size: 64})
	if got := sink.Wait(count); got.Received != count {
		t.Errorf("%+v", got)
	}
	tap.Close()
	tap.Close()
	if seen.Load() != count {
		t.Errorf("saw %d of %d", seen.Load(), count)
	}
}
