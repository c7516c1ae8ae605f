package wire_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestICMPv6Fields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := sized(true, wire.ICMPv6, 60)
		copy(b[40:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "header"))
		h := parse(t, b)
		m, want := h.ICMPv6(b), decode(b).ic6
		if m.Type() != want.TypeCode.Type() || m.Code() != want.TypeCode.Code() || m.Checksum() != want.Checksum {
			t.Fatalf("% x\ngot %+v, want %+v", b, m, want)
		}
		if h.ICMP(b) != nil {
			t.Fatal("ICMP view of an ICMPv6 packet")
		}
	})
}
