package wire_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// change is one edit and, beside it, the plain writing of the field.
type change struct {
	name  string
	edit  func(b []byte, h *wire.Headers) wire.Edited
	plain func(b []byte, h *wire.Headers) bool // false: there is no such field
}

// changes are all edits, with values taken from v.
func changes(h *wire.Headers, v [16]byte) []change {
	addr, word := netip.AddrFrom16(v), binary.BigEndian.Uint16(v[:])
	if h.Version == 4 {
		addr = netip.AddrFrom4([4]byte(v[:]))
	}
	ports := func(set func(b []byte, p uint16)) func(b []byte, h *wire.Headers) bool {
		return func(b []byte, h *wire.Headers) bool {
			if h.Transport != wire.TCP && h.Transport != wire.UDP {
				return false
			}
			set(b[h.TransportOff:], word)
			return true
		}
	}
	ttl := func(b []byte, h *wire.Headers, v byte) bool {
		if h.Version == 0 {
			return false
		}
		b[map[uint8]int{4: 8, 6: 7}[h.Version]] = v
		return true
	}
	done := func(ok bool) wire.Edited {
		if ok {
			return wire.EditDone
		}
		return wire.EditRefused
	}
	return []change{
		{
			"source", func(b []byte, h *wire.Headers) wire.Edited { return wire.SetSrcAddr(b, h, addr) },
			func(b []byte, h *wire.Headers) bool {
				return h.Version == 4 && h.IPv4(b).SetSrc(addr) || h.Version == 6 && h.IPv6(b).SetSrc(addr)
			},
		},
		{
			"destination", func(b []byte, h *wire.Headers) wire.Edited { return wire.SetDstAddr(b, h, addr) },
			func(b []byte, h *wire.Headers) bool {
				return h.Version == 4 && h.IPv4(b).SetDst(addr) || h.Version == 6 && h.IPv6(b).SetDst(addr)
			},
		},
		{
			"source port", func(b []byte, h *wire.Headers) wire.Edited { return wire.SetSrcPort(b, h, word) },
			ports(func(b []byte, p uint16) { binary.BigEndian.PutUint16(b, p) }),
		},
		{
			"destination port", func(b []byte, h *wire.Headers) wire.Edited { return wire.SetDstPort(b, h, word) },
			ports(func(b []byte, p uint16) { binary.BigEndian.PutUint16(b[2:], p) }),
		},
		{
			"echo", func(b []byte, h *wire.Headers) wire.Edited { return wire.SetEchoID(b, h, word) },
			func(b []byte, h *wire.Headers) bool {
				m := h.ICMP(b)
				if h.Transport == wire.ICMPv6 {
					m = h.ICMPv6(b)
				}
				if m == nil || m.Type() != 128 && m.Type() != 129 && h.Version == 6 || m.Type() != 0 && m.Type() != 8 && h.Version == 4 {
					return false
				}
				m.SetID(word)
				return true
			},
		},
		{
			"ttl", func(b []byte, h *wire.Headers) wire.Edited { return done(wire.SetTTL(b, h, v[0])) },
			func(b []byte, h *wire.Headers) bool { return ttl(b, h, v[0]) },
		},
		{
			"decrement", func(b []byte, h *wire.Headers) wire.Edited { return done(wire.DecrementTTL(b, h)) },
			func(b []byte, h *wire.Headers) bool {
				now := wire.TTL(b, h)
				return now > 1 && ttl(b, h, now-1)
			},
		},
	}
}

// checkEdits makes every edit of b: it changes its field and no other byte but checksums, and errors of checksums stay what they were.
func checkEdits(t rapid.TB, b []byte, v [16]byte) {
	t.Helper()
	var h wire.Headers
	wire.Parse(b, &h)
	was := wire.Judge(b, &h)
	ip, transport := wire.Verify(b, &h)
	for _, c := range changes(&h, v) {
		got, want := clone(b), clone(b)
		outcome, possible := c.edit(got, &h), c.plain(want, &h)
		if possible == (outcome == wire.EditRefused) {
			t.Fatalf("%s of % x: outcome %d, possible %v", c.name, b, outcome, possible)
		}
		if outcome == wire.EditRefused {
			if !bytes.Equal(got, b) {
				t.Fatalf("%s was refused and changed % x", c.name, b)
			}
			continue
		}
		var now wire.Headers
		if wire.Parse(got, &now); now != h {
			t.Fatalf("%s: headers of % x are now %+v, were %+v", c.name, b, now, h)
		}
		is := wire.Judge(got, &h)
		if noUDPSum(b, &h) {
			is.Transport = was.Transport
		}
		if nowIP, nowTransport := wire.Verify(got, &h); is != was || nowIP != ip || nowTransport != transport {
			t.Fatalf("%s: sums of % x were wrong by %x (%v %v), are by %x (%v %v): % x",
				c.name, b, was, ip, transport, is, nowIP, nowTransport, got)
		}
		spoil(got, &h, 0, 0)
		spoil(want, &h, 0, 0)
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: got % x\nwant % x", c.name, got, want)
		}
	}
}

func TestEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		if rapid.Bool().Draw(t, "damage") {
			b = damaged(t)
		}
		checkEdits(t, b, [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "new")))
	})
}

// Edits of a right packet make the same bytes as writing the fields and computing all checksums.
func TestEditsAreCalc(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		h := parse(t, b)
		wire.CalcChecksums(b, 0)
		v := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "new"))
		got, want := clone(b), clone(b)
		for _, c := range changes(h, v) {
			c.edit(got, h)
			c.plain(want, h)
		}
		wire.CalcChecksums(want, 0)
		if !bytes.Equal(got, want) {
			t.Fatalf("got  % x\nwant % x", got, want)
		}
	})
}

func FuzzEdits(f *testing.F) {
	for i := range 20 {
		f.Add(packets().Example(i), uint64(i), uint64(1<<63))
	}
	f.Fuzz(func(t *testing.T, b []byte, hi, lo uint64) {
		var v [16]byte
		binary.BigEndian.PutUint64(v[:], hi)
		binary.BigEndian.PutUint64(v[8:], lo)
		checkEdits(t, b, v)
	})
}

func TestEditOutcomes(t *testing.T) {
	set := func(b []byte, i int, v byte) []byte {
		b = clone(b)
		b[i] = v
		return b
	}
	udp, udp6, echo := sized(false, wire.UDP, 60), sized(true, wire.UDP, 80), sized(false, wire.ICMP, 60)
	routing := func(kind byte) []byte {
		return insertV6(udp6, 43, append([]byte{17, 2, kind, 1, 0, 0, 0, 0}, make([]byte, 16)...))
	}
	for _, c := range []struct {
		name     string
		b        []byte
		src, dst wire.Edited
	}{
		{"udp", udp, wire.EditDone, wire.EditDone},
		{"icmp", echo, wire.EditDone, wire.EditDone},
		{"icmp, later fragment", set(echo, 7, 1), wire.EditDone, wire.EditDone},
		{"udp, first fragment", set(udp, 6, 0x20), wire.EditDone, wire.EditDone},
		{"udp, later fragment", set(udp, 7, 1), wire.EditSumElsewhere, wire.EditSumElsewhere},
		{"udp, header cut off", udp[:27], wire.EditSumElsewhere, wire.EditSumElsewhere},
		{"unknown protocol", set(udp, 9, 136), wire.EditSumElsewhere, wire.EditSumElsewhere},
		{"gre", set(udp, 9, 47), wire.EditDone, wire.EditDone},
		{"gre, IPv6", set(udp6, 6, 47), wire.EditDone, wire.EditDone},
		{"icmp in IPv6", set(udp6, 6, 1), wire.EditSumElsewhere, wire.EditSumElsewhere},
		{"later fragment, IPv6", insertV6(udp6, 44, []byte{17, 0, 1, 0, 0, 0, 0, 1}), wire.EditSumElsewhere, wire.EditSumElsewhere},
		{"segments left", routing(4), wire.EditDone, wire.EditDone},
		{"unknown routing", routing(9), wire.EditDone, wire.EditSumElsewhere},
		{"no packet", nil, wire.EditRefused, wire.EditRefused},
	} {
		var h wire.Headers
		wire.Parse(c.b, &h)
		a, wrong := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
		if h.Version == 6 {
			a, wrong = wrong, a
		}
		src, dst := clone(c.b), clone(c.b)
		if got := wire.SetSrcAddr(src, &h, a); got != c.src {
			t.Errorf("%s: source: %d, want %d", c.name, got, c.src)
		}
		if got := wire.SetDstAddr(dst, &h, a); got != c.dst {
			t.Errorf("%s: destination: %d, want %d", c.name, got, c.dst)
		}
		for _, bad := range []netip.Addr{wrong, {}} {
			if wire.SetSrcAddr(src, &h, bad) != wire.EditRefused || wire.SetDstAddr(dst, &h, bad) != wire.EditRefused {
				t.Errorf("%s: took %v", c.name, bad)
			}
		}
		if h.Version == 4 && wire.SetSrcAddr(src, &h, netip.AddrFrom16(a.As16())) != c.src {
			t.Errorf("%s: refused a mapped address", c.name)
		}
	}
}

func TestEditUDPZero(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		b := sized(v6, wire.UDP, 80)
		h := parse(t, b)
		h.UDP(b).SetChecksum(0)
		wire.SetDstPort(b, h, 1)
		if got := h.UDP(b).Checksum(); got != 0 {
			t.Errorf("no checksum became %#x", got)
		}
		wire.SetDstPort(b, h, 0)
		h.UDP(b).SetChecksum(0x1234)
		wire.SetDstPort(b, h, 0x1234) // 0x1234 - 0x1234
		if got := h.UDP(b).Checksum(); got != 0xffff {
			t.Errorf("a checksum of 0 is stored as %#x", got)
		}
	}
}

func TestDecrementTTL(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		b := sized(v6, wire.TCP, 80)
		h := parse(t, b)
		for ttl := range 256 {
			wire.SetTTL(b, h, uint8(ttl))
			before := clone(b)
			ok := wire.DecrementTTL(b, h)
			if ok != (ttl > 1) || ok && int(wire.TTL(b, h)) != ttl-1 || !ok && !bytes.Equal(b, before) {
				t.Errorf("%d: %v, now %d", ttl, ok, wire.TTL(b, h))
			}
			if got := verdict(t, b); got[1] != wire.SumGood || !v6 && got[0] != wire.SumGood {
				t.Errorf("%d: %v", ttl, got)
			}
		}
	}
}

func TestEditAllocs(t *testing.T) {
	b4, b6 := sized(false, wire.TCP, 60), sized(true, wire.UDP, 80)
	h4, h6 := parse(t, b4), parse(t, b6)
	a4, a6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	if n := testing.AllocsPerRun(100, func() {
		wire.SetSrcAddr(b4, h4, a4)
		wire.SetDstAddr(b6, h6, a6)
		wire.SetSrcPort(b4, h4, 9)
		wire.DecrementTTL(b6, h6)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkNAT parses a packet, then changes destination, port and TTL with all checksums.
func BenchmarkNAT(b *testing.B) {
	for _, n := range []string{"60", "1500"} {
		pkt := sized(false, wire.TCP, map[string]int{"60": 60, "1500": 1500}[n])
		to := [2]netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.77")}
		b.Run(n+"/weir", func(b *testing.B) {
			var h wire.Headers
			for i := 0; b.Loop(); i++ {
				wire.Parse(pkt, &h)
				wire.SetDstAddr(pkt, &h, to[i&1])
				wire.SetDstPort(pkt, &h, uint16(i))
				wire.DecrementTTL(pkt, &h)
				pkt[8] = 64
			}
		})
		b.Run(n+"/gvisor", func(b *testing.B) { // fixed offsets, no parsing: all that its package checksum does
			be := binary.BigEndian
			for i := 0; b.Loop(); i++ {
				a := to[i&1].As4()
				var delta uint16
				for j := range 2 {
					delta = checksum.Combine(delta, checksum.Combine(be.Uint16(a[2*j:]), ^be.Uint16(pkt[16+2*j:])))
				}
				copy(pkt[16:], a[:])
				ttl := checksum.Combine(uint16(63)<<8, ^(uint16(64) << 8))
				pkt[8] = 64
				be.PutUint16(pkt[10:], ^checksum.Combine(^be.Uint16(pkt[10:]), checksum.Combine(delta, ttl)))
				delta = checksum.Combine(delta, checksum.Combine(uint16(i), ^be.Uint16(pkt[22:])))
				be.PutUint16(pkt[22:], uint16(i))
				be.PutUint16(pkt[36:], ^checksum.Combine(^be.Uint16(pkt[36:]), delta))
			}
		})
		b.Run(n+"/weir-parsed", func(b *testing.B) { // as in a pipeline, where a packet is parsed once for all
			var h wire.Headers
			wire.Parse(pkt, &h)
			for i := 0; b.Loop(); i++ {
				wire.SetDstAddr(pkt, &h, to[i&1])
				wire.SetDstPort(pkt, &h, uint16(i))
				wire.DecrementTTL(pkt, &h)
				pkt[8] = 64
			}
		})
		b.Run(n+"/gvisor-parsing", func(b *testing.B) { // its package header, which finds the headers as Parse does
			addrs := [2]tcpip.Address{tcpip.AddrFrom4(to[0].As4()), tcpip.AddrFrom4(to[1].As4())}
			for i := 0; b.Loop(); i++ {
				ip := header.IPv4(pkt)
				if !ip.IsValid(len(pkt)) || ip.TransportProtocol() != header.TCPProtocolNumber || ip.FragmentOffset() != 0 {
					b.Fatal("no TCP")
				}
				tcp := header.TCP(ip.Payload())
				if off := tcp.DataOffset(); off < header.TCPMinimumSize || int(off) > len(tcp) {
					b.Fatal("no TCP header")
				}
				old := ip.DestinationAddress()
				ip.SetDestinationAddressWithChecksumUpdate(addrs[i&1])
				tcp.UpdateChecksumPseudoHeaderAddress(old, addrs[i&1], true)
				tcp.SetDestinationPortWithChecksumUpdate(uint16(i))
				ttl := uint16(ip.TTL()) << 8
				ip.SetTTL(63)
				ip.SetChecksum(^checksum.Combine(^ip.Checksum(), checksum.Combine(63<<8, ^ttl)))
				pkt[8] = 64
			}
		})
		b.Run(n+"/gopacket", func(b *testing.B) {
			g := newGopacket(pkt)
			for i := 0; b.Loop(); i++ {
				g.decode(pkt)
				g.ip.DstIP = to[i&1].AsSlice()
				g.tcp.DstPort++
				g.ip.TTL--
				sink16 = uint16(len(g.serialize()))
			}
		})
	}
}
