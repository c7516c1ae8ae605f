package wire_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// overRead lists the vectors in which the TCP data offset points behind the packet. WinDivert then takes the header's own length
// for the pseudo header and sums whatever lies behind the buffer (zeros in all of these but the first); we sum the packet.
var overRead = map[int]bool{637: true, 726: true, 1024: true, 1811: true}

// What WinDivertHelperCalcChecksums of WinDivert 2.2 answers: packet, flags, return value, packet afterwards, address flags.
func TestCalcChecksumsVectors(t *testing.T) {
	n := 0
	for line := range vectors(t, "testdata/checksum.tsv.gz") {
		n++
		col := strings.Split(line, "\t")
		b, err := hex.DecodeString(col[0])
		must(err)
		flags, err := strconv.ParseUint(col[1], 10, 64)
		must(err)
		want, err := hex.DecodeString(col[3])
		must(err)
		h := parse(t, b)
		if overRead[n] {
			checkCalc(t, b)
		}
		done, ok := wire.CalcChecksums(b, wire.ChecksumFlags(flags))
		if overRead[n] && h.TCP(b).HeaderLen() > len(b)-int(h.TransportOff) {
			h.TCP(want).SetChecksum(h.TCP(b).Checksum())
		}
		is := func(bit wire.Checksums) int { return min(1, int(done&bit)) }
		set := fmt.Sprintf("ip=%d,tcp=%d,udp=%d", is(wire.IPSum), is(wire.TCPSum), is(wire.UDPSum))
		if !bytes.Equal(b, want) || set != col[4] || ok != (col[2] == "1") {
			t.Errorf("line %d: %s flags %d\ngot  %x %v %s\nwant %x %s %s", n, col[0], flags, b, ok, set, want, col[2], col[4])
		}
	}
	if n != 2000 {
		t.Errorf("%d vectors, want 2000", n)
	}
}

// vectors are the lines of a compressed file.
func vectors(t *testing.T, name string) iter.Seq[string] {
	f, err := os.Open(name)
	must(err)
	t.Cleanup(func() { _ = f.Close() })
	z, err := gzip.NewReader(f)
	must(err)
	return func(yield func(string) bool) {
		lines := bufio.NewScanner(z)
		for lines.Scan() && yield(lines.Text()) {
		}
		must(lines.Err())
	}
}

// checkCalc compares what CalcChecksums writes with the naive sum over a copy that has 0 in the fields.
func checkCalc(t rapid.TB, b []byte) {
	t.Helper()
	var h wire.Headers
	wire.Parse(b, &h)
	got := clone(b)
	done, ok := wire.CalcParsed(got, &h, 0)
	want := clone(b)
	if done&wire.IPSum != 0 {
		binary.BigEndian.PutUint16(want[10:], 0)
		binary.BigEndian.PutUint16(want[10:], ^naive(want[:h.HeaderLen]))
	}
	if done&^wire.IPSum != 0 {
		rest := want[h.TransportOff:h.Len]
		field := rest[map[wire.Transport]int{wire.TCP: 16, wire.UDP: 6, wire.ICMP: 2, wire.ICMPv6: 2}[h.Transport]:]
		binary.BigEndian.PutUint16(field, 0)
		var pseudo []byte
		switch {
		case h.Transport == wire.ICMP:
		case h.Version == 4:
			pseudo = append(clone(want[12:20]), 0, h.Proto, byte(len(rest)>>8), byte(len(rest)))
		default:
			pseudo = append(clone(want[8:40]), byte(len(rest)>>24), byte(len(rest)>>16), byte(len(rest)>>8), byte(len(rest)), 0, 0, 0, h.Proto)
		}
		sum := ^naive(append(pseudo, rest...))
		if sum == 0 && h.Transport == wire.UDP {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(field, sum)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("% x\ngot  % x\nwant % x", b, got, want)
	}
	if owed := h.Transport != wire.NoTransport; ok != (h.Version != 0 && (!owed || done&^wire.IPSum != 0)) {
		t.Fatalf("% x: ok %v, done %b", b, ok, done)
	}
}

func TestCalcChecksumsDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkCalc(t, damaged(t)) })
}

// gopacket computed the checksums of these packets: spoilt and computed again they are the same.
func TestCalcChecksumsLikeGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		h := parse(t, b)
		got := clone(b)
		spoil(got, h, rapid.Uint16().Draw(t, "ip"), rapid.Uint16().Draw(t, "transport"))
		if _, ok := wire.CalcChecksums(got, 0); !ok {
			t.Fatal("not ok")
		}
		if h.Transport == wire.UDP && h.UDP(b).Checksum() == 0 { // gopacket stores a computed 0 as it is
			h.UDP(b).SetChecksum(0xffff)
		}
		if !bytes.Equal(got, b) {
			t.Fatalf("got  % x\nwant % x", got, b)
		}
	})
}

// spoil overwrites the checksum fields.
func spoil(b []byte, h *wire.Headers, ip, transport uint16) {
	if h.Version == 4 {
		h.IPv4(b).SetChecksum(ip)
	}
	switch h.Transport {
	case wire.TCP:
		h.TCP(b).SetChecksum(transport)
	case wire.UDP:
		h.UDP(b).SetChecksum(transport)
	case wire.ICMP:
		h.ICMP(b).SetChecksum(transport)
	case wire.ICMPv6:
		h.ICMPv6(b).SetChecksum(transport)
	}
}

// An ICMP message of nothing but zeros has the checksum 0xffff, whatever stood in the field and however it became so.
func TestAllZeroICMP(t *testing.T) {
	for _, old := range []uint16{0, 1, 0xffff} {
		b := sized(false, wire.ICMP, 28)
		h := parse(t, b)
		zero := func(what string, store func()) {
			t.Helper()
			if store(); h.ICMP(b).Checksum() != 0xffff {
				t.Errorf("%s over %#x: %#x", what, old, h.ICMP(b).Checksum())
			}
		}
		clear(b[20:])
		h.ICMP(b).SetChecksum(old)
		zero("calculated", func() { wire.CalcChecksums(b, wire.NoIP) })
		h.ICMP(b).SetChecksum(old)
		zero("recomputed", func() { wire.Recompute(b, h, wire.AllSums, wire.Wrong{}) })
		zero("edited to the same", func() { wire.SetEchoID(b, h, 0) })
		wire.SetEchoID(b, h, old)
		zero("edited", func() { wire.SetEchoID(b, h, 0) })
	}
}

func TestCalcChecksumsUDPZero(t *testing.T) {
	b := sized(false, wire.UDP, 30)
	h := parse(t, b)
	b[28], b[29] = 0, 0
	h.UDP(b).SetChecksum(0)
	binary.BigEndian.PutUint16(b[28:], wire.Checksum(append(clone(b[12:20]), append([]byte{0, 17, 0, 10}, b[20:]...)...)))
	wire.CalcChecksums(b, 0)
	if got := h.UDP(b).Checksum(); got != 0xffff {
		t.Errorf("a sum of 0 is stored as %#x", got)
	}
}

func TestCalcAllocs(t *testing.T) {
	b := sized(true, wire.TCP, 1500)
	h := parse(t, b)
	if n := testing.AllocsPerRun(100, func() {
		wire.CalcChecksums(b, 0)
		wire.Verify(b, h)
		wire.Recompute(b, h, wire.AllSums, wire.Judge(b, h))
		sink16 = wire.Checksum(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCalcChecksums(b *testing.B) {
	for _, n := range []int{60, 1500} {
		pkt := sized(false, wire.TCP, n)
		b.Run(strconv.Itoa(n)+"/weir", func(b *testing.B) {
			for b.Loop() {
				wire.CalcChecksums(pkt, 0)
			}
		})
		b.Run(strconv.Itoa(n)+"/verify", func(b *testing.B) {
			var h wire.Headers
			for b.Loop() {
				wire.Parse(pkt, &h)
				ip, tr := wire.Verify(pkt, &h)
				sinkBool = ip == tr
			}
		})
		b.Run(strconv.Itoa(n)+"/gvisor", func(b *testing.B) { // fixed offsets, no parsing: all that its package checksum does
			for b.Loop() {
				binary.BigEndian.PutUint16(pkt[10:], 0)
				binary.BigEndian.PutUint16(pkt[10:], ^checksum.Checksum(pkt[:20], 0))
				binary.BigEndian.PutUint16(pkt[36:], 0)
				sum := checksum.Combine(checksum.Checksum(pkt[12:20], 0), uint16(n-20)+6)
				binary.BigEndian.PutUint16(pkt[36:], ^checksum.Checksum(pkt[20:], sum))
			}
		})
		b.Run(strconv.Itoa(n)+"/gopacket", func(b *testing.B) {
			g := newGopacket(pkt)
			for b.Loop() {
				g.decode(pkt)
				sink16 = uint16(len(g.serialize()))
			}
		})
	}
}

// goPacket is gopacket used as fast as it goes: layers decoded in place, one buffer for all packets.
type goPacket struct {
	ip      layers.IPv4
	tcp     layers.TCP
	payload gopacket.Payload
	parser  *gopacket.DecodingLayerParser
	found   []gopacket.LayerType
	buf     gopacket.SerializeBuffer
}

func newGopacket(pkt []byte) *goPacket {
	g := &goPacket{buf: gopacket.NewSerializeBufferExpectedSize(100, len(pkt))}
	g.parser = gopacket.NewDecodingLayerParser(layers.LayerTypeIPv4, &g.ip, &g.tcp, &g.payload)
	g.parser.IgnoreUnsupported = true
	return g
}

func (g *goPacket) decode(pkt []byte) { must(g.parser.DecodeLayers(pkt, &g.found)) }

func (g *goPacket) serialize() []byte {
	must(g.tcp.SetNetworkLayerForChecksum(&g.ip))
	opts := gopacket.SerializeOptions{ComputeChecksums: true, FixLengths: true}
	must(gopacket.SerializeLayers(g.buf, opts, &g.ip, &g.tcp, gopacket.Payload(g.tcp.Payload)))
	return g.buf.Bytes()
}
