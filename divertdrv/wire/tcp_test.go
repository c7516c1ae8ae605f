package wire_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestTCPFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		s.transport = wire.TCP
		b := s.build()
		h := parse(t, b)
		copy(b[h.TransportOff:], rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "numbers"))
		copy(b[h.TransportOff+13:], rapid.SliceOfN(rapid.Byte(), 7, 7).Draw(t, "flags and behind"))
		h = parse(t, b)
		tcp, want := h.TCP(b), decode(b).tcp
		if want == nil { // gopacket stops at the headers that it does not know
			return
		}
		if tcp.SrcPort() != uint16(want.SrcPort) || tcp.DstPort() != uint16(want.DstPort) || tcp.Seq() != want.Seq ||
			tcp.Ack() != want.Ack || tcp.HeaderLen() != int(want.DataOffset)*4 || tcp.Window() != want.Window ||
			tcp.Checksum() != want.Checksum || tcp.Urgent() != want.Urgent {
			t.Fatalf("% x\ngot %+v, want %+v", b, tcp, want)
		}
		for flag, set := range map[wire.TCPFlags]bool{
			wire.FIN: want.FIN, wire.SYN: want.SYN, wire.RST: want.RST, wire.PSH: want.PSH, wire.ACK: want.ACK,
			wire.URG: want.URG, wire.ECE: want.ECE, wire.CWR: want.CWR, wire.AE: want.NS,
		} {
			if (tcp.Flags()&flag != 0) != set {
				t.Fatalf("flags %#x, want %+v", tcp.Flags(), want)
			}
		}
		if h.UDP(b) != nil || h.ICMP(b) != nil || h.ICMPv6(b) != nil {
			t.Fatal("view of another transport")
		}
	})
}

func TestTCPSetters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "header")
		from := (*wire.TCPHeader)(b)
		to := (*wire.TCPHeader)(make([]byte, 20))
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "order") {
			switch i {
			case 0:
				to.SetSrcPort(from.SrcPort())
			case 1:
				to.SetDstPort(from.DstPort())
			case 2:
				to.SetSeq(from.Seq())
			case 3:
				to.SetAck(from.Ack())
			case 4:
				to.SetHeaderLen(60 - from.HeaderLen())
				to.SetHeaderLen(from.HeaderLen())
			case 5:
				to.SetFlags(^from.Flags())
				to.SetFlags(from.Flags())
			case 6:
				to.SetWindow(from.Window())
			case 7:
				to.SetChecksum(from.Checksum())
			case 8:
				to.SetUrgent(from.Urgent())
			}
		}
		if !bytes.Equal(to[:], b) {
			t.Fatalf("got  % x\nwant % x", to[:], b)
		}
	})
}
