package wire_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// naive is the sum by the words of RFC 1071: 16-bit words in network order, an odd byte padded behind, carries brought round.
func naive(b []byte) uint16 {
	var sum uint32
	for i, x := range b {
		sum += uint32(x) << (8 * (1 - i%2))
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func checkSum(t rapid.TB, b []byte, cut int) {
	t.Helper()
	want := naive(b)
	if got := wire.Fold(wire.Sum(b, 0)); got != want || wire.Checksum(b) != ^want {
		t.Fatalf("%d bytes % x: got %#x, want %#x", len(b), b, got, want)
	}
	if got := checksum.Checksum(b, 0); got != want {
		t.Fatalf("%d bytes % x: gvisor has %#x, want %#x", len(b), b, got, want)
	}
	if got := wire.Fold(wire.Sum(b[cut:], wire.Sum(b[:cut], 0))); got != want {
		t.Fatalf("%d bytes in pieces, cut at %d: got %#x, want %#x", len(b), cut, got, want)
	}
}

// Every length up to where the blocks repeat, at every alignment, with the bytes that carry most.
func TestSumLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random, ones := make([]byte, 300), make([]byte, 300)
	for i := range random {
		random[i], ones[i] = byte(r.Uint32()), 0xff
	}
	for n := range 280 {
		for align := range 9 {
			checkSum(t, random[align:][:n:n], n/4*2)
			checkSum(t, ones[align:][:n:n], n/4*2)
		}
	}
	checkSum(t, make([]byte, 70000), 64)
	checkSum(t, bytes.Repeat([]byte{0xff}, 300_001), 200_000) // longer than vectors take at once
	checkSum(t, bytes.Repeat([]byte{0xff, 0x7f}, 150_000), 0)
}

// Long pieces at every alignment and of every remainder behind the blocks.
func TestSumLongPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, 2000)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for align := range 33 {
		for n := 1400; n < 1400+130; n++ {
			checkSum(t, b[align:][:n:n], n/2&^1)
		}
	}
}

func TestSumRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "bytes")
		checkSum(t, b, rapid.IntRange(0, len(b)/2).Draw(t, "cut")*2)
	})
}

// A partial sum keeps all of its 64 bits when folded.
func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64().Draw(t, "partial")
		if got, want := wire.Fold(x), naive([]byte{
			byte(x), byte(x >> 8), byte(x >> 16), byte(x >> 24), byte(x >> 32), byte(x >> 40), byte(x >> 48), byte(x >> 56),
		}); got != want {
			t.Fatalf("%#x: got %#x, want %#x", x, got, want)
		}
	})
	for _, x := range []uint64{1<<64 - 1, 0xffff, 0xffffffff, 0xffff << 48, 1<<63 + 1<<31, 0xfffffffe00000001} {
		if wire.Fold(x) == 0 {
			t.Errorf("%#x folds to 0", x)
		}
	}
}

func TestPseudoHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		h := parse(t, b)
		length, proto := rapid.Uint32Range(0, 65535).Draw(t, "length"), rapid.Uint8().Draw(t, "proto")
		var src, dst netip.Addr
		var view uint64
		if h.Version == 4 {
			src, dst, view = h.IPv4(b).Src(), h.IPv4(b).Dst(), h.IPv4(b).Pseudo(proto, length)
		} else {
			length *= 9 // the field has 32 bits
			src, dst, view = h.IPv6(b).Src(), h.IPv6(b).Dst(), h.IPv6(b).Pseudo(proto, length)
		}
		raw := append(append(src.AsSlice(), dst.AsSlice()...), byte(length>>24), byte(length>>16), byte(length>>8), byte(length), 0, 0, 0, proto)
		got := wire.Fold(wire.PseudoHeader(src, dst, proto, length))
		if want := naive(raw); got != want || wire.Fold(view) != want {
			t.Fatalf("%v %v %d %d: got %#x and %#x, want %#x", src, dst, proto, length, got, wire.Fold(view), want)
		}
	})
	if got := wire.Fold(wire.PseudoHeader(netip.Addr{}, netip.Addr{}, 6, 1)); got != 7 {
		t.Errorf("invalid addresses: %#x", got)
	}
}

func TestUpdateIsRecompute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 18, 60).Draw(t, "bytes")
		b[0] |= 1 // all zeros have two checksums
		want := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "new")
		be := func(b []byte) (x uint64) {
			for _, c := range b {
				x = x<<8 | uint64(c)
			}
			return x
		}
		for _, n := range []int{2, 4, 16} {
			sum, after := wire.Checksum(b), clone(b)
			copy(after[2:], want[:n])
			var got uint16
			switch old, repl := b[2:], after[2:]; n {
			case 2:
				got = wire.Update16(sum, uint16(be(old[:2])), uint16(be(repl[:2])))
			case 4:
				got = wire.Update32(sum, uint32(be(old[:4])), uint32(be(repl[:4])))
			case 16:
				got = wire.Update128(sum, be(old[:8]), be(old[8:16]), be(repl[:8]), be(repl[8:16]))
			}
			if want := ^naive(after); got != want {
				t.Fatalf("% x\n% x: %d bytes: got %#x, want %#x", b, after, n, got, want)
			}
		}
	})
}

// The example of RFC 1624 section 4, where RFC 1141 goes wrong.
func TestUpdateRFC1624(t *testing.T) {
	if got := wire.Update16(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("got %#04x, want 0x0000", got)
	}
}

func FuzzChecksum(f *testing.F) {
	for i := range 12 {
		f.Add(packets().Example(i), 2*i)
	}
	f.Add([]byte{0xff, 0xff, 0xff}, 0)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		checkSum(t, b, max(0, min(cut, len(b)))&^1)
		checkCalc(t, b)
	})
}

// Ratios within one run are what these are for.
func BenchmarkChecksum(b *testing.B) {
	for _, n := range []int{20, 60, 576, 1500, 9000, 65000} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 31)
		}
		b.Run(strconv.Itoa(n)+"/weir", func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				sink16 = wire.Checksum(data)
			}
		})
		b.Run(strconv.Itoa(n)+"/gvisor", func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				sink16 = ^checksum.Checksum(data, 0)
			}
		})
		b.Run(strconv.Itoa(n)+"/gopacket", func(b *testing.B) {
			b.SetBytes(int64(n))
			ip := layers.IPv4{SrcIP: make([]byte, 4), DstIP: make([]byte, 4)}
			udp := layers.UDP{} // its sum is only to be had with a pseudo header and a buffer
			must(udp.SetNetworkLayerForChecksum(&ip))
			buf := gopacket.NewSerializeBuffer()
			opts := gopacket.SerializeOptions{ComputeChecksums: true}
			for b.Loop() {
				must(buf.Clear())
				bytes, _ := buf.PrependBytes(n - 8)
				_ = bytes
				must(udp.SerializeTo(buf, opts))
				sink16 = udp.Checksum
			}
		})
	}
}
