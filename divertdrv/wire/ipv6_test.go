package wire_test

import (
	"bytes"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestIPv6Fields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		s.v6 = true
		if s.transport == wire.ICMP {
			s.transport = wire.ICMPv6
		}
		s.src = rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "src")
		s.dst = rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "dst")
		b := s.build()
		copy(b, rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "first word"))
		b[0] = b[0]&0xf | 0x60
		h := parse(t, b)
		ip, want := h.IPv6(b), decode(b).ip6
		src, _ := netip.AddrFromSlice(want.SrcIP)
		dst, _ := netip.AddrFromSlice(want.DstIP)
		if ip.Version() != want.Version || ip.TrafficClass() != want.TrafficClass || ip.FlowLabel() != want.FlowLabel ||
			ip.PayloadLength() != want.Length || ip.NextHeader() != uint8(want.NextHeader) || ip.HopLimit() != want.HopLimit ||
			ip.Src() != src || ip.Dst() != dst {
			t.Fatalf("% x\ngot %+v, want %+v", b, ip, want)
		}
		if h.IPv4(b) != nil {
			t.Fatal("IPv4 view of an IPv6 packet")
		}
	})
}

func TestIPv6Setters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 40, 40).Draw(t, "header")
		b[0] = b[0]&0xf | 0x60
		from := (*wire.IPv6Header)(b)
		to := (*wire.IPv6Header)(make([]byte, 40))
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "order") {
			switch i {
			case 0:
				to.SetVersion()
			case 1:
				to.SetTrafficClass(^from.TrafficClass())
				to.SetTrafficClass(from.TrafficClass())
			case 2:
				to.SetFlowLabel(^from.FlowLabel())
				to.SetFlowLabel(from.FlowLabel() | 0xfff00000)
			case 3:
				to.SetPayloadLength(from.PayloadLength())
			case 4:
				to.SetNextHeader(from.NextHeader())
			case 5:
				to.SetHopLimit(from.HopLimit())
			case 6:
				to.SetSrc(from.Src().WithZone("eth0"))
			case 7:
				to.SetDst(from.Dst())
			}
		}
		if !bytes.Equal(to[:], b) {
			t.Fatalf("got  % x\nwant % x", to[:], b)
		}
		if to.SetSrc(netip.AddrFrom4([4]byte{1})) || to.SetDst(netip.Addr{}) {
			t.Fatal("took what is no IPv6 address")
		}
	})
}
