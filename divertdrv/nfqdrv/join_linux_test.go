package nfqdrv_test

import (
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/nettest"
)

// IPv6 datagrams in fragments come as wholes, once, and what becomes of them becomes of all their fragments.
func TestJoin(t *testing.T) {
	const n, size = 20, 4000
	for _, c := range []struct {
		name     string
		filter   string
		judge    func(p *divertdrv.Packet)
		received uint64
		arrived  int
		dropped  uint64
	}{
		{"pass", "udp.DstPort == 7 and udp.PayloadLength == 4000", nil, n, n, 0},
		{"change", "udp.DstPort == 7", func(p *divertdrv.Packet) { p.Edit() }, n, n, 0},
		{"drop", "udp.DstPort == 7", func(p *divertdrv.Packet) { p.Set(divertdrv.Drop, reason.Filter) }, n, 0, n},
		{"another port", "udp.DstPort == 8", nil, 0, n, 0},
		{"not asked of fragments", "fragment", nil, 0, n, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			sink := nettest.ListenUDP(t, b.here.NS, netip.AddrPortFrom(b.here.V6, 7))
			h := b.open("inbound and ipv6 and ("+c.filter+")", divertdrv.Options{})
			odd := 0
			over := relay(t, h, func(p *divertdrv.Packet) {
				if head := p.Headers(); head.Fragment || len(p.Data) != 40+8+size || p.Addr.Outbound() {
					odd++
				}
				if c.judge != nil {
					c.judge(p)
				}
			})
			nettest.SendUDP(t, b.there.NS, sink.Addr(), nettest.Stream{Count: n, Size: size})
			if got := sink.Wait(max(c.arrived, 1)); got.Received != c.arrived || got.Damaged != 0 || got.Reordered != 0 {
				t.Errorf("arrived: %+v, want %d", got, c.arrived)
			}
			_ = h.Close()
			<-over
			b.noBadChecksums()
			if st := h.Stats(); st.Received != c.received || st.DroppedTotal() != c.dropped || st.Lost != 0 || odd != 0 {
				t.Errorf("%d are no wholes; %+v, want %d received", odd, st, c.received)
			}
		})
	}
}
