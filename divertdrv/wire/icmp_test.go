package wire_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestICMPFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := sized(false, wire.ICMP, 40)
		copy(b[20:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "header"))
		h := parse(t, b)
		m, want := h.ICMP(b), decode(b).icmp
		if m.Type() != want.TypeCode.Type() || m.Code() != want.TypeCode.Code() || m.Checksum() != want.Checksum ||
			m.ID() != want.Id || m.Seq() != want.Seq || m.Body() != uint32(want.Id)<<16|uint32(want.Seq) || m.NextHopMTU() != want.Seq {
			t.Fatalf("% x\ngot %+v, want %+v", b, m, want)
		}
		if h.ICMPv6(b) != nil {
			t.Fatal("ICMPv6 view of an ICMP packet")
		}
	})
}

func TestICMPSetters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "header")
		from := (*wire.ICMPHeader)(b)
		for _, body := range []func(to *wire.ICMPHeader){
			func(to *wire.ICMPHeader) { to.SetBody(from.Body()) },
			func(to *wire.ICMPHeader) { to.SetSeq(from.Seq()); to.SetID(from.ID()) },
			func(to *wire.ICMPHeader) { to.SetNextHopMTU(from.NextHopMTU()); to.SetID(from.ID()) },
		} {
			to := (*wire.ICMPHeader)(make([]byte, 8))
			body(to)
			to.SetChecksum(from.Checksum())
			to.SetCode(from.Code())
			to.SetType(from.Type())
			if !bytes.Equal(to[:], b) {
				t.Fatalf("got  % x\nwant % x", to[:], b)
			}
		}
	})
}
