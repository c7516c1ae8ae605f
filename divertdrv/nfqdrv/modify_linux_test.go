package nfqdrv_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// Super-packets that are written over in place arrive right: their checksums were owed, and are computed.
func TestRewriteSuperPackets(t *testing.T) {
	b := newBench(t)
	h := b.open("tcp.PayloadLength > 0", divertdrv.Options{})
	super := 0
	relay(t, h, func(p *divertdrv.Packet) {
		if len(p.Data) > 1500 {
			super++
		}
		p.Edit()
	})
	for _, to := range []netip.Addr{b.there.V4, b.there.V6} {
		nettest.MustTransferTCP(t, b.here.NS, b.there.NS, to, 20<<20)
	}
	_ = h.Close()
	b.noBadChecksums()
	st := h.Stats()
	if super == 0 || st.DroppedTotal() > st.Dropped[reason.Abandoned] {
		t.Errorf("%d super-packets, %+v", super, st)
	}
}

// The largest packet that can leave is that of the interface where a received packet will.
func TestMTU(t *testing.T) {
	b := newBench(t)
	h := b.open("outbound and udp.DstPort == 7", divertdrv.Options{})
	got := make(chan int, 1)
	relay(t, h, func(p *divertdrv.Packet) { got <- h.MTU(p) })
	sender := b.open("false", divertdrv.Options{Priority: 1})
	b.inject(sender, 1)
	if mtu := <-got; mtu != 1500 {
		t.Errorf("MTU %d, want 1500", mtu)
	}
	if mtu := h.MTU(divertdrv.NewPacket(divertdrv.Address{}, b.datagram(2, 60))); mtu != 0 {
		t.Errorf("a packet whose interface nobody named has the MTU %d", mtu)
	}
}

// A super-packet that is cut down to less than one segment arrives: as a packet of its own, since the device would not take it.
// TCP sends the rest again.
func TestShrinkSuperPackets(t *testing.T) {
	b := newBench(t)
	h := b.open("outbound and tcp.PayloadLength > 3000", divertdrv.Options{})
	shrunk := 0
	relay(t, h, func(p *divertdrv.Packet) {
		if shrunk < 20 {
			if err := p.Resize(552); err != nil {
				t.Error(err)
			}
			shrunk++
		}
	})
	nettest.MustTransferTCP(t, b.here.NS, b.there.NS, b.there.V4, 20<<20)
	nettest.MustTransferTCP(t, b.here.NS, b.there.NS, b.there.V6, 1<<20)
	_ = h.Close()
	b.noBadChecksums()
	if st := h.Stats(); shrunk < 20 || st.DroppedTotal() > st.Dropped[reason.Abandoned] {
		t.Errorf("%d shrunk, %+v", shrunk, st)
	}
}

func (b *bench) noBadChecksums() {
	b.t.Helper()
	if bad := b.there.NS.Counters().BadChecksums() + b.here.NS.Counters().BadChecksums(); bad != 0 {
		b.t.Errorf("%d bad checksums", bad)
	}
}

// A flow whose datagrams get longer arrives right. Those that no longer fit the interface are cut by the kernel where they may be,
// and are refused where it would drop them in silence.
func TestGrowBeyondTheInterface(t *testing.T) {
	for _, c := range []struct {
		name    string
		six, df bool
		size    int // of the payload
		why     divertdrv.Cause
	}{
		{"fits", false, true, 1400, 0},
		{"cut", false, false, 2000, 0},
		{"not to be cut", false, true, 2000, reason.TooBig},
		{"IPv6", true, false, 2000, reason.TooBig},
		{"no kernel carries", false, false, 65510, reason.TooBig},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			to := b.there.V4
			if c.six {
				to = b.there.V6
			}
			sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(to, 7))
			h := b.open("udp.DstPort == 7", divertdrv.Options{})
			over := relay(t, h, func(p *divertdrv.Packet) { lengthen(t, p, c.size, c.df) })
			const n = 10
			nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: n, Size: 64})
			want, dropped := n, uint64(0)
			if c.why != 0 {
				want, dropped = 0, n
			}
			if got := sink.Wait(max(want, 1)); got.Received != want || got.Damaged != 0 {
				t.Errorf("arrived: %+v, want %d", got, want)
			}
			_ = h.Close()
			<-over
			b.noBadChecksums()
			if st := h.Stats(); st.Dropped[reason.TooBig] != dropped || st.DroppedTotal() != dropped {
				t.Errorf("%+v, want %d too big", st, dropped)
			}
		})
	}
}

// lengthen makes a numbered datagram one of that payload, right in all that a sink looks at.
func lengthen(t testing.TB, p *divertdrv.Packet, payload int, df bool) {
	off := int(p.Headers().PayloadOff)
	if err := p.Resize(off + payload); err != nil {
		t.Error(err)
		return
	}
	if p.Data[0]>>4 == 4 {
		wire.Parse(p.Data, p.Headers())
		p.Headers().IPv4(p.Data).SetDF(df)
	}
	number := binary.BigEndian.Uint32(p.Data[off:])
	binary.BigEndian.PutUint32(p.Data[off+4:], uint32(payload))
	for i := 8; i < payload; i++ {
		p.Data[off+i] = byte(int(number) + i)
	}
}
