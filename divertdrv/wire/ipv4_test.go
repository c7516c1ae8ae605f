package wire_test

import (
	"bytes"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestIPv4Fields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		b := s.build()
		b[0] = b[0]&0xf | 0x40
		copy(b[6:8], rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "flags"))
		if s.v6 {
			return
		}
		h := parse(t, b)
		ip, want := h.IPv4(b), decode(b).ip4
		src, _ := netip.AddrFromSlice(want.SrcIP)
		dst, _ := netip.AddrFromSlice(want.DstIP)
		if ip.Version() != want.Version || ip.HeaderLen() != int(want.IHL)*4 || ip.TOS() != want.TOS || ip.Length() != want.Length ||
			ip.ID() != want.Id || ip.DF() != (want.Flags&2 != 0) || ip.MF() != (want.Flags&1 != 0) || ip.FragOff() != want.FragOffset*8 ||
			ip.TTL() != want.TTL || ip.Protocol() != uint8(want.Protocol) || ip.Checksum() != want.Checksum ||
			ip.Src() != src || ip.Dst() != dst {
			t.Fatalf("% x\ngot %+v, want %+v", b, ip, want)
		}
		if h.IPv6(b) != nil {
			t.Fatal("IPv6 view of an IPv4 packet")
		}
	})
}

// Each setter changes its field only: writing into a blank header what was read from a packet makes the same header.
func TestIPv4Setters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "header")
		b[0] = b[0]&0xf | 0x40
		b[6] &^= 0x80 // the reserved bit has no setter
		from := (*wire.IPv4Header)(b)
		to := (*wire.IPv4Header)(make([]byte, 20))
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}).Draw(t, "order") {
			switch i {
			case 0:
				to.SetHeaderLen(from.HeaderLen())
			case 1:
				to.SetTOS(from.TOS())
			case 2:
				to.SetLength(from.Length())
			case 3:
				to.SetID(from.ID())
			case 4:
				to.SetDF(!from.DF())
				to.SetDF(from.DF())
			case 5:
				to.SetMF(!from.MF())
				to.SetMF(from.MF())
			case 6:
				to.SetFragOff(^from.FragOff())
				to.SetFragOff(from.FragOff())
			case 7:
				to.SetTTL(from.TTL())
			case 8:
				to.SetProtocol(from.Protocol())
			case 9:
				to.SetChecksum(from.Checksum())
			case 10:
				to.SetSrc(from.Src())
			case 11:
				to.SetDst(netip.AddrFrom16(from.Dst().As16())) // mapped
			}
		}
		if !bytes.Equal(to[:], b) {
			t.Fatalf("got  % x\nwant % x", to[:], b)
		}
	})
}

func TestIPv4RefusesIPv6(t *testing.T) {
	var ip wire.IPv4Header
	for _, a := range []netip.Addr{{}, netip.IPv6LinkLocalAllNodes()} {
		if ip.SetSrc(a) || ip.SetDst(a) || ip != (wire.IPv4Header{}) {
			t.Errorf("took %v", a)
		}
	}
}
