package wire_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestUDPFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		s.transport = wire.UDP
		b := s.build()
		h := parse(t, b)
		copy(b[h.TransportOff:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ports"))
		copy(b[h.TransportOff+6:], rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "checksum"))
		udp, want := h.UDP(b), decode(b).udp
		if want == nil { // gopacket stops at the headers that it does not know
			return
		}
		if udp.SrcPort() != uint16(want.SrcPort) || udp.DstPort() != uint16(want.DstPort) || udp.Length() != want.Length ||
			udp.Checksum() != want.Checksum {
			t.Fatalf("% x\ngot %+v, want %+v", b, udp, want)
		}
		if h.TCP(b) != nil {
			t.Fatal("view of another transport")
		}
	})
}

func TestUDPSetters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "header")
		from := (*wire.UDPHeader)(b)
		to := (*wire.UDPHeader)(make([]byte, 8))
		to.SetChecksum(from.Checksum())
		to.SetLength(from.Length())
		to.SetDstPort(from.DstPort())
		to.SetSrcPort(from.SrcPort())
		if !bytes.Equal(to[:], b) {
			t.Fatalf("got  % x\nwant % x", to[:], b)
		}
	})
}
