package wire_test

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// withTCPOptions is a TCP packet whose options are these bytes, a multiple of 4.
func withTCPOptions(options []byte) []byte {
	b := append(sized(false, wire.TCP, 40), options...)
	b[3] = byte(len(b))
	b[32] = byte(20+len(options)) / 4 << 4
	return b
}

func TestTCPOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 2, 3, 4, 4, 5, 8, 10, 40, 255}), 40, 40).Draw(t, "options")
		raw = raw[:4*rapid.IntRange(0, 10).Draw(t, "words")]
		b := withTCPOptions(raw)
		o := parse(t, b).TCPOptions(b)
		var tcp layers.TCP
		err := tcp.DecodeFromBytes(b[20:], gopacket.NilDecodeFeedback)
		for _, want := range tcp.Options {
			if want.OptionType == layers.TCPOptionKindNop || want.OptionType == layers.TCPOptionKindEndList {
				continue
			}
			kind, data, ok := o.Next()
			if !ok && err != nil && o.Malformed() {
				break
			}
			if !ok || kind != uint8(want.OptionType) || !bytes.Equal(data, want.OptionData) {
				t.Fatalf("% x: got %d % x %v, want %v", raw, kind, data, ok, want)
			}
		}
		if kind, data, ok := o.Next(); ok {
			t.Fatalf("% x: %d % x too many", raw, kind, data)
		}
		if o.Malformed() != (err != nil) {
			t.Fatalf("% x: malformed %v, gopacket says %v", raw, o.Malformed(), err)
		}
	})
}

func TestOptionsFind(t *testing.T) {
	b := withTCPOptions([]byte{1, 2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0})
	o := parse(t, b).TCPOptions(b)
	mss, ok := o.Find(wire.TCPOptMSS)
	if !ok || !bytes.Equal(mss, []byte{5, 0xb4}) {
		t.Fatalf("MSS % x %v", mss, ok)
	}
	mss[0] = 9 // part of the packet
	if b[43] != 9 {
		t.Error("the data is a copy")
	}
	if scale, ok := o.Find(wire.TCPOptWindow); !ok || !bytes.Equal(scale, []byte{7}) {
		t.Errorf("window scale % x %v", scale, ok)
	}
	if sack, ok := o.Find(wire.TCPOptSACKOK); !ok || len(sack) != 0 {
		t.Errorf("SACK permitted % x %v", sack, ok)
	}
	if _, ok := o.Find(wire.TCPOptTimestamps); ok {
		t.Error("found what is not there")
	}
	o = parse(t, b).IPv4Options(b)
	if _, _, ok := o.Next(); ok || o.Malformed() {
		t.Error("IPv4 has options")
	}
}

func TestIPv4Options(t *testing.T) {
	b := append(sized(false, wire.UDP, 28)[:20], wire.IPv4OptAlert, 4, 0, 0, wire.OptNop, wire.IPv4OptLSRR, 9, 0)
	b[0], b[3] = 0x47, 28
	o := parse(t, b).IPv4Options(b)
	kind, data, ok := o.Next()
	if kind != wire.IPv4OptAlert || !bytes.Equal(data, []byte{0, 0}) || !ok {
		t.Fatalf("got %d % x %v", kind, data, ok)
	}
	if _, _, ok := o.Next(); ok || !o.Malformed() {
		t.Fatal("an option longer than the header was taken")
	}
	if o := parse(t, b).TCPOptions(b); o.Malformed() {
		t.Fatal("TCP options of another packet")
	}
}
