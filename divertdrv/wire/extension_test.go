package wire_test

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestExtensions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		b := s.build()
		h := parse(t, b)
		x := h.Extensions(b)
		for i, want := range s.extend {
			proto, header, ok := x.Next()
			if !ok || proto != want.proto || !bytes.Equal(header[1:], want.bytes[1:]) {
				t.Fatalf("%d: got %d % x %v, want %d % x", i, proto, header, ok, want.proto, want.bytes)
			}
		}
		if proto, header, ok := x.Next(); ok {
			t.Fatalf("%d % x too many", proto, header)
		}
		if h.FragmentHeaderOf(b) != nil {
			t.Fatal("a Fragment header where there is none")
		}
	})
}

func TestFragmentHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chain := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "header")
		chain[1] = 0
		chain[3] &^= 6 // reserved
		b := insertV6(sized(true, wire.UDP, 60), wire.ProtoFragment, chain)
		h := parse(t, b)
		f := h.FragmentHeaderOf(b)
		want, _ := gopacket.NewPacket(b, layers.LayerTypeIPv6, gopacket.Default).Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
		if f.NextHeader() != uint8(want.NextHeader) || f.FragOff() != want.FragmentOffset*8 || f.MoreFrags() != want.MoreFragments ||
			f.ID() != want.Identification || h.FragOff != f.FragOff() || h.MoreFrags != f.MoreFrags() {
			t.Fatalf("% x: got %+v, want %+v", chain, f, want)
		}
		var to wire.FragmentHeader
		to.SetMoreFrags(!f.MoreFrags())
		to.SetFragOff(^f.FragOff())
		to.SetNextHeader(f.NextHeader())
		to.SetID(f.ID())
		to.SetMoreFrags(f.MoreFrags())
		to.SetFragOff(f.FragOff())
		if !bytes.Equal(to[:], chain) {
			t.Fatalf("got  % x\nwant % x", to[:], chain)
		}
	})
}
