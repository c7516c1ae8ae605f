package wire_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// verdict is Verify of bytes.
func verdict(t rapid.TB, b []byte) [2]wire.SumState {
	t.Helper()
	ip, transport := wire.Verify(b, parse(t, b))
	return [2]wire.SumState{ip, transport}
}

func TestVerifyGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		want := [2]wire.SumState{wire.SumGood, wire.SumGood}
		if b[0]>>4 == 6 {
			want[0] = wire.SumAbsent
		}
		h := parse(t, b)
		if h.Transport == wire.UDP && h.UDP(b).Checksum() == 0 { // gopacket stores a computed 0 as it is
			h.UDP(b).SetChecksum(0xffff)
		}
		before := clone(b)
		if got := verdict(t, b); got != want || wire.Judge(b, h) != (wire.Wrong{}) {
			t.Fatalf("% x: %v, want %v", b, got, want)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("Verify changed the packet")
		}
	})
}

// One changed bit is seen by the checksum that covers it, unless it changes what kind of packet it is.
func TestVerifyBitFlip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		h := *parse(t, b)
		i, bit := rapid.IntRange(0, len(b)-1).Draw(t, "byte"), rapid.IntRange(0, 7).Draw(t, "bit")
		was := verdict(t, b)
		b[i] ^= 1 << bit
		var now wire.Headers
		routing := i >= 40 && i < int(h.TransportOff) // may name another destination
		if wire.Parse(b, &now); now != h || was[1] != wire.SumGood || routing {
			return
		}
		ip, transport := wire.Verify(b, &now)
		if h.Version == 4 && i < int(h.HeaderLen) != (ip == wire.SumBad) {
			t.Fatalf("byte %d: IP %v", i, ip)
		}
		covered := i >= int(h.TransportOff) || h.Transport != wire.ICMP &&
			(h.Version == 4 && i >= 12 && i < 20 || h.Version == 6 && i >= 8 && i < 40)
		udpLength := h.Transport == wire.UDP && (i == int(h.TransportOff)+4 || i == int(h.TransportOff)+5)
		if !noUDPSum(b, &h) && !udpLength && covered != (transport == wire.SumBad) {
			t.Fatalf("byte %d of %+v: %v", i, h, transport)
		}
	})
}

func TestVerifyAbsent(t *testing.T) {
	udp, udp6 := sized(false, wire.UDP, 60), sized(true, wire.UDP, 80)
	none := func(b []byte) []byte {
		b = clone(b)
		parse(t, b)
		parse(t, b).UDP(b).SetChecksum(0)
		return b
	}
	set := func(b []byte, i int, v byte) []byte {
		b = clone(b)
		b[i] = v
		wire.CalcChecksums(b, wire.NoUDP|wire.NoTCP)
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want wire.SumState
	}{
		{"UDP without", none(udp), wire.SumAbsent},
		{"UDP without, IPv6", none(udp6), wire.SumBad},
		{"unknown protocol", set(udp, 9, 200), wire.SumAbsent},
		{"first fragment", set(udp, 6, 0x20), wire.SumAbsent},
		{"later fragment", set(udp, 7, 9), wire.SumAbsent},
		{"truncated", udp[:59], wire.SumAbsent},
		{"atomic fragment", insertV6(udp6, 44, []byte{17, 0, 0, 0, 0, 0, 0, 1}), wire.SumGood},
		{"first fragment, IPv6", insertV6(udp6, 44, []byte{17, 0, 0, 1, 0, 0, 0, 1}), wire.SumAbsent},
		{"bytes behind", append(clone(udp), 1, 2, 3), wire.SumGood},
	} {
		h := parse(t, c.b)
		got := verdict(t, c.b)
		if got[1] != c.want || h.Version == 4 && got[0] != wire.SumGood {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		b := clone(c.b)
		done := wire.Recompute(b, h, wire.AllSums, wire.Wrong{})
		if stored := done&^wire.IPSum != 0; stored != (c.want == wire.SumGood) || !bytes.Equal(b, c.b) {
			t.Errorf("%s: Recompute stored %b\n% x\n% x", c.name, done, b, c.b)
		}
	}
	var h wire.Headers
	if ip, tr := wire.Verify(nil, &h); ip != wire.SumAbsent || tr != wire.SumAbsent || wire.Recompute(nil, &h, wire.AllSums, wire.Wrong{}) != 0 {
		t.Error("no packet has sums")
	}
}

// A UDP datagram shorter than what IP carries is summed over its own length (RFC 768), as receivers do.
func TestVerifyUDPLength(t *testing.T) {
	b := append(sized(false, wire.UDP, 60), 1, 2, 3, 4)
	b[3] = byte(len(b))
	wire.CalcChecksums(b, wire.NoUDP)
	if got := verdict(t, b); got != [2]wire.SumState{wire.SumGood, wire.SumGood} {
		t.Fatalf("trailer: %v", got)
	}
	for _, length := range []uint16{0, 7, 9999} { // impossible: summed over all, as a receiver that ignores it would
		h := parse(t, b)
		h.UDP(b).SetLength(length)
		wire.CalcChecksums(b, 0)
		if got := verdict(t, b); got[1] != wire.SumGood {
			t.Errorf("length %d: %v", length, got)
		}
	}
}

// The pseudo header takes the final destination of a Routing header with segments left.
func TestVerifyRouting(t *testing.T) {
	final := []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}
	other := []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8}
	for _, c := range []struct {
		name      string
		kind      byte
		left      byte
		addresses [][]byte
		want      wire.SumState
	}{
		{"source route", 0, 2, [][]byte{other, final}, wire.SumGood},
		{"mobility", 2, 1, [][]byte{final}, wire.SumGood},
		{"segments", 4, 1, [][]byte{final, other}, wire.SumGood},
		{"wrong end", 4, 1, [][]byte{other, final}, wire.SumBad},
		{"none left", 4, 0, [][]byte{final, other}, wire.SumBad},
		{"unknown kind", 3, 1, [][]byte{final, final}, wire.SumAbsent},
		{"no address", 0, 1, nil, wire.SumAbsent},
	} {
		b := sized(true, wire.TCP, 80)
		next := clone(b[24:40])
		copy(b[24:], final)
		wire.CalcChecksums(b, 0)
		copy(b[24:], next)
		routing := []byte{wire.ProtoTCP, byte(2 * len(c.addresses)), c.kind, c.left, 0, 0, 0, 0}
		for _, a := range c.addresses {
			routing = append(routing, a...)
		}
		b = insertV6(b, wire.ProtoDestOpts, append([]byte{wire.ProtoRouting, 0, 1, 4, 0, 0, 0, 0}, routing...))
		if got := verdict(t, b); got[1] != c.want {
			t.Errorf("%s: %v, want %v", c.name, got[1], c.want)
		}
		h := parse(t, b)
		h.TCP(b).SetChecksum(1)
		done := wire.Recompute(b, h, wire.AllSums, wire.Wrong{})
		if got := verdict(t, b); (got[1] == wire.SumGood) != (c.want != wire.SumAbsent) || (done == 0) != (c.want == wire.SumAbsent) {
			t.Errorf("%s: recomputed %b, %v", c.name, done, got)
		}
	}
}

// Whatever was edited, Recompute with the old error is what RFC 1624 makes of the old checksum, word by word.
func TestRecomputeIsIncremental(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		h := parse(t, b)
		if rapid.Bool().Draw(t, "corrupt") {
			spoil(b, h, rapid.Uint16().Draw(t, "ip"), rapid.Uint16().Draw(t, "transport"))
		}
		was, before := wire.Judge(b, h), verdict(t, b)
		incremental := clone(b)
		edit(t, b, incremental, h)
		wire.Recompute(b, h, wire.AllSums, was)
		same := func(x, y uint16) bool { return x == y || x%0xffff == 0 && y%0xffff == 0 } // 0 and -0
		for i := 0; i+1 < len(b); i += 2 {
			got, want := binary.BigEndian.Uint16(b[i:]), binary.BigEndian.Uint16(incremental[i:])
			if !same(got, want) {
				t.Fatalf("word at %d: got %#x, want %#x\ngot  % x\nwant % x", i, got, want, b, incremental)
			}
		}
		if after := verdict(t, b); after != before {
			t.Fatalf("%v became %v", before, after)
		}
		if wire.Judge(b, h) != was && !noUDPSum(b, h) {
			t.Fatalf("error %v became %v", was, wire.Judge(b, h))
		}
	})
}

// noUDPSum says that the packet is UDP without a checksum: over IPv6 that counts as wrong, yet is left alone.
func noUDPSum(b []byte, h *wire.Headers) bool {
	return h.Transport == wire.UDP && h.UDP(b).Checksum() == 0
}

// edit overwrites words of payload, ports and addresses in b, and in inc too, where it updates the checksums by RFC 1624.
func edit(t *rapid.T, b, inc []byte, h *wire.Headers) {
	addrs, end := 12, 20
	if h.Version == 6 {
		addrs, end = 8, 40
	}
	sum := map[wire.Transport]int{wire.TCP: 16, wire.UDP: 6, wire.ICMP: 2, wire.ICMPv6: 2}[h.Transport] + int(h.TransportOff)
	var words []int
	for i := addrs; i < end; i += 2 {
		words = append(words, i)
	}
	if h.Transport != wire.ICMP && h.Transport != wire.ICMPv6 {
		words = append(words, int(h.TransportOff), int(h.TransportOff)+2)
	}
	for i := int(h.PayloadOff); i+1 < len(b); i += 2 {
		words = append(words, i)
	}
	for _, i := range rapid.SliceOfN(rapid.SampledFrom(words), 1, 9).Draw(t, "words") {
		old, repl := binary.BigEndian.Uint16(inc[i:]), rapid.Uint16().Draw(t, "new")
		binary.BigEndian.PutUint16(b[i:], repl)
		binary.BigEndian.PutUint16(inc[i:], repl)
		if i < end && h.Version == 4 {
			binary.BigEndian.PutUint16(inc[10:], wire.Update16(binary.BigEndian.Uint16(inc[10:]), old, repl))
		}
		field := binary.BigEndian.Uint16(inc[sum:])
		if i < end && h.Transport == wire.ICMP || h.Transport == wire.UDP && field == 0 {
			continue
		}
		if field = wire.Update16(field, old, repl); field == 0 && h.Transport == wire.UDP {
			field = 0xffff
		}
		binary.BigEndian.PutUint16(inc[sum:], field)
	}
}

func TestSumStateString(t *testing.T) {
	for s, want := range map[wire.SumState]string{wire.SumAbsent: "absent", wire.SumGood: "good", wire.SumBad: "bad"} {
		if got := s.String(); got != want {
			t.Errorf("%d: %s, want %s", s, got, want)
		}
	}
}
