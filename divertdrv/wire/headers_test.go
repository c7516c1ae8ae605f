package wire_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestParseTable(t *testing.T) {
	tcp := sized(false, wire.TCP, 60)
	with := func(b []byte, change func(b []byte)) []byte {
		b = clone(b)
		change(b)
		return b
	}
	v4 := wire.Headers{Version: 4, Proto: 6, Transport: wire.TCP, HeaderLen: 20, TransportOff: 20, PayloadOff: 40, Len: 60, Total: 60}
	edit := func(h wire.Headers, change func(h *wire.Headers)) wire.Headers {
		change(&h)
		return h
	}
	for _, c := range []struct {
		name string
		b    []byte
		want wire.Headers
	}{
		{"empty", nil, wire.Headers{}},
		{"version 5", with(tcp, func(b []byte) { b[0] = 0x55 }), wire.Headers{}},
		{"19 bytes", tcp[:19], wire.Headers{}},
		{"IHL 4", with(tcp, func(b []byte) { b[0] = 0x44 }), wire.Headers{}},
		{"total below header", with(tcp, func(b []byte) { b[3] = 19 }), wire.Headers{}},
		{"options cut off", with(tcp, func(b []byte) { b[0] = 0x4f })[:59], wire.Headers{}},
		{"IPv6, 39 bytes", sized(true, wire.TCP, 80)[:39], wire.Headers{}},
		{"tcp", tcp, v4},
		{"bytes behind", append(clone(tcp), 1, 2, 3), v4},
		{"truncated payload", tcp[:50], edit(v4, func(h *wire.Headers) { h.Len, h.Truncated = 50, true })},
		{"truncated header", tcp[:39], edit(v4, func(h *wire.Headers) {
			h.Len, h.Truncated, h.Transport, h.PayloadOff = 39, true, wire.NoTransport, 20
		})},
		{"data offset 4", with(tcp, func(b []byte) { b[32] = 0x40 }), edit(v4, func(h *wire.Headers) {
			h.Transport, h.PayloadOff = wire.NoTransport, 20
		})},
		{"data offset behind the end", with(tcp, func(b []byte) { b[32] = 0xf0 }), edit(v4, func(h *wire.Headers) { h.PayloadOff = 60 })},
		{"first fragment", with(tcp, func(b []byte) { b[6] = 0x20 }), edit(v4, func(h *wire.Headers) { h.Fragment, h.MoreFrags = true, true })},
		{"later fragment", with(tcp, func(b []byte) { b[6], b[7] = 0x1f, 0xff }), edit(v4, func(h *wire.Headers) {
			h.Fragment, h.FragOff, h.Transport, h.PayloadOff = true, 65528, wire.NoTransport, 20
		})},
		{"ICMPv6 in IPv4", with(tcp, func(b []byte) { b[9] = 58 }), edit(v4, func(h *wire.Headers) {
			h.Proto, h.Transport, h.PayloadOff = 58, wire.NoTransport, 20
		})},
	} {
		h := wire.Headers{Version: 9, Fragment: true, FragHeader: 1, FragOff: 8} // what was there is overwritten
		if ok := wire.Parse(c.b, &h); h != c.want || ok != (c.want.Version != 0) {
			t.Errorf("%s: got %+v %v\nwant %+v", c.name, h, ok, c.want)
		}
	}
}

// insertV6 puts raw bytes behind the fixed header of an IPv6 packet.
func insertV6(b []byte, first uint8, chain []byte) []byte {
	b = append(append(append([]byte{}, b[:40]...), chain...), b[40:]...)
	b[6] = first
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

func TestParseIPv6Chains(t *testing.T) {
	udp := sized(true, wire.UDP, 60)
	fragment := func(next, hi, lo byte) []byte { return []byte{next, 0, hi, lo, 0, 0, 0, 9} }
	long := make([]byte, 2048)
	long[0], long[1] = wire.ProtoUDP, 255
	for _, c := range []struct {
		name  string
		first uint8
		chain []byte
		want  wire.Headers
	}{
		{"hop-by-hop", 0, []byte{17, 0, 0, 0, 0, 0, 0, 0}, wire.Headers{Proto: 17, Transport: wire.UDP, TransportOff: 48}},
		{"2048 bytes", 60, long, wire.Headers{Proto: 17, Transport: wire.UDP, TransportOff: 40 + 2048}},
		{"ESP ends it", 50, []byte{17, 0, 0, 0, 0, 0, 0, 0}, wire.Headers{Proto: 50, TransportOff: 40}},
		{"no next", 59, nil, wire.Headers{Proto: 59, TransportOff: 40}},
		{"cut off", 0, []byte{17, 200, 0, 0, 0, 0, 0, 0}, wire.Headers{Proto: 0, TransportOff: 40}},
		{"atomic fragment", 44, fragment(17, 0, 0), wire.Headers{
			Proto: 17, Transport: wire.UDP, TransportOff: 48, Fragment: true, FragHeader: 40,
		}},
		{"first fragment", 44, fragment(17, 0, 1), wire.Headers{
			Proto: 17, Transport: wire.UDP, TransportOff: 48, Fragment: true, MoreFrags: true, FragHeader: 40,
		}},
		{"later fragment", 44, fragment(60, 0xff, 0xff), wire.Headers{
			Proto: 60, TransportOff: 48, Fragment: true, MoreFrags: true, FragOff: 65528, FragHeader: 40,
		}},
		{"second fragment header stops", 44, append(fragment(44, 0, 1), fragment(17, 0, 8)...), wire.Headers{
			Proto: 44, TransportOff: 48, Fragment: true, MoreFrags: true, FragHeader: 40,
		}},
	} {
		b := insertV6(udp, c.first, c.chain)
		c.want.Version, c.want.HeaderLen, c.want.Len, c.want.Total = 6, 40, uint32(len(b)), uint32(len(b))
		c.want.PayloadOff = c.want.TransportOff
		if c.want.Transport != wire.NoTransport {
			c.want.PayloadOff += 8
		}
		if h := parse(t, b); *h != c.want {
			t.Errorf("%s: got %+v\nwant %+v", c.name, *h, c.want)
		}
	}
}

// The offset of a Fragment header can exceed 16 bits.
func TestParseFarFragment(t *testing.T) {
	b := make([]byte, wire.MaxPacketLen)
	b[0], b[4], b[5], b[6] = 0x60, 0xff, 0xff, wire.ProtoDestOpts
	off := 40
	for ; off < len(b)-16; off += 8 {
		b[off] = wire.ProtoDestOpts
	}
	last := off - 8
	b[last] = wire.ProtoFragment
	b[off] = wire.ProtoNoNext
	b[off+3] = 1
	h := parse(t, b)
	if int(h.FragHeader) != off || off < 65536-8 || !h.MoreFrags || h.FragmentHeaderOf(b).NextHeader() != wire.ProtoNoNext {
		t.Fatalf("fragment header at %d: %+v", off, *h)
	}
}

func TestParseAgreesWithShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		b := s.build()
		var h wire.Headers
		if !wire.Parse(b, &h) || h.Transport != s.transport || h.Truncated || h.Fragment {
			t.Fatalf("% x\n%+v", b, h)
		}
		if int(h.Len) != len(b) || int(h.Total) != len(b) || h.Version == 6 != s.v6 {
			t.Fatalf("% x\n%+v", b, h)
		}
		if got := string(h.Payload(b)); got != string(s.payload) {
			t.Fatalf("payload % x, want % x", got, s.payload)
		}
	})
}

// reference is Parse by the words of its documentation, without speed in mind.
func reference(b []byte) (h wire.Headers) {
	if len(b) < 20 {
		return h
	}
	be := func(i int) int { return int(b[i])<<8 | int(b[i+1]) }
	var off, proto int
	icmp := map[int]wire.Transport{1: wire.ICMP}
	h.Version = b[0] >> 4
	switch {
	case h.Version == 4 && b[0]&15 >= 5 && be(2) >= int(b[0]&15)*4 && len(b) >= int(b[0]&15)*4:
		off, proto = int(b[0]&15)*4, int(b[9])
		h.HeaderLen, h.Total = uint16(off), uint32(be(2))
		h.MoreFrags, h.FragOff = b[6]&0x20 != 0, uint16(be(6)%8192*8)
		h.Fragment = h.MoreFrags || h.FragOff > 0
	case h.Version == 6 && len(b) >= 40:
		off, proto = 40, int(b[6])
		h.HeaderLen, h.Total = 40, uint32(be(4)+40)
		icmp = map[int]wire.Transport{58: wire.ICMPv6}
	default:
		return wire.Headers{}
	}
	b = b[:min(len(b), int(h.Total))]
	h.Len, h.Truncated = uint32(len(b)), len(b) < int(h.Total)
	for h.Version == 6 && h.FragOff == 0 && len(b) >= off+2 {
		size := map[int]int{0: 8 + 8*int(b[off+1]), 43: 8 + 8*int(b[off+1]), 60: 8 + 8*int(b[off+1]), 135: 8 + 8*int(b[off+1]), 51: 8 + 4*int(b[off+1]), 44: 8}[proto]
		if size == 0 || off+size > len(b) || proto == 44 && h.Fragment {
			break
		}
		if proto == 44 {
			h.Fragment, h.FragHeader = true, uint32(off)
			h.FragOff, h.MoreFrags = uint16(be(off+2)/8*8), b[off+3]&1 == 1
		}
		proto, off = int(b[off]), off+size
	}
	h.Proto, h.TransportOff, h.PayloadOff = uint8(proto), uint32(off), uint32(off)
	rest := len(b) - off
	switch t := icmp[proto]; {
	case h.FragOff > 0:
	case proto == 6 && rest >= 20 && b[off+12] >= 0x50:
		h.Transport, h.PayloadOff = wire.TCP, uint32(off+min(rest, int(b[off+12]>>4)*4))
	case proto == 17 && rest >= 8:
		h.Transport, h.PayloadOff = wire.UDP, uint32(off+8)
	case t != wire.NoTransport && rest >= 8:
		h.Transport, h.PayloadOff = t, uint32(off+8)
	}
	return h
}

// checkParse compares Parse with the reference and touches all that Parse says is there.
func checkParse(t rapid.TB, b []byte) {
	t.Helper()
	var h wire.Headers
	ok := wire.Parse(b, &h)
	if want := reference(b); h != want || ok != (h.Version != 0) {
		t.Fatalf("% x\ngot  %+v %v\nwant %+v", b, h, ok, want)
	}
	if !ok {
		return
	}
	if h.TransportOff > h.PayloadOff || h.PayloadOff > h.Len || h.Len > h.Total || int(h.Len) > len(b) {
		t.Fatalf("% x: bounds of %+v", b, h)
	}
	_ = h.Payload(b)
	_, _, _ = h.Flow(b)
	_, _ = wire.Verify(b, &h)
	for o := h.TCPOptions(b); ; {
		if _, _, ok := o.Next(); !ok {
			break
		}
	}
	for o := h.IPv4Options(b); ; {
		if _, _, ok := o.Next(); !ok {
			break
		}
	}
	n := uint32(h.HeaderLen)
	for x := h.Extensions(b); ; {
		_, header, ok := x.Next()
		if !ok {
			break
		}
		n += uint32(len(header))
	}
	if n != h.TransportOff {
		t.Fatalf("% x: extension headers end at %d, transport begins at %d", b, n, h.TransportOff)
	}
}

func TestParseDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkParse(t, damaged(t)) })
}

// damaged is a packet some bytes of which were overwritten, cut off or added.
func damaged(t *rapid.T) []byte {
	b := packets().Draw(t, "packet")
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, min(len(b), 100)-1), 0, 4).Draw(t, "where") {
		b[i] = rapid.SampledFrom([]byte{0, 1, 0x20, 0x45, 0x4f, 0x60, 6, 17, 44, 43, 60, 51, 58, 255}).Draw(t, "what")
	}
	b = append(b, rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "behind")...)
	return b[:rapid.IntRange(0, len(b)).Draw(t, "len")]
}

func FuzzParse(f *testing.F) {
	for i := range 30 {
		f.Add(packets().Example(i))
	}
	f.Add(insertV6(sized(true, wire.UDP, 60), 44, []byte{44, 0, 0, 1, 0, 0, 0, 9, 17, 0, 0, 8, 0, 0, 0, 9}))
	f.Fuzz(func(t *testing.T, b []byte) { checkParse(t, b) })
}

func TestParseAllocs(t *testing.T) {
	var h wire.Headers
	for _, b := range [][]byte{sized(false, wire.TCP, 60), sized(true, wire.UDP, 80)} {
		if n := testing.AllocsPerRun(100, func() {
			wire.Parse(b, &h)
			k, _, _ := h.Flow(b)
			sink64 = k.Hash(1)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// Ratios within one run are what this is for.
func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"v4-tcp-60", sized(false, wire.TCP, 60)},
		{"v6-tcp-80", sized(true, wire.TCP, 80)},
		{"v4-udp-1500", sized(false, wire.UDP, 1500)},
		{"v6-extensions", insertV6(sized(true, wire.TCP, 80), 0, []byte{6, 0, 1, 4, 0, 0, 0, 0})},
	} {
		b.Run(c.name+"/weir", func(b *testing.B) {
			var h wire.Headers
			for b.Loop() {
				sinkBool = wire.Parse(c.b, &h)
			}
		})
		b.Run(c.name+"/gopacket", func(b *testing.B) {
			var ip4 layers.IPv4
			var ip6 layers.IPv6
			var tcp layers.TCP
			var udp layers.UDP
			var payload gopacket.Payload
			var found []gopacket.LayerType
			first := map[byte]gopacket.LayerType{4: layers.LayerTypeIPv4, 6: layers.LayerTypeIPv6}[c.b[0]>>4]
			p := gopacket.NewDecodingLayerParser(first, &ip4, &ip6, &tcp, &udp, &payload)
			p.IgnoreUnsupported = true // the ports may belong to protocols that are not decoded here
			for b.Loop() {
				must(p.DecodeLayers(c.b, &found))
			}
		})
	}
}

func TestTransportString(t *testing.T) {
	for tr, want := range map[wire.Transport]string{wire.NoTransport: "none", wire.TCP: "tcp", wire.ICMPv6: "icmpv6", 5: "transport(5)"} {
		if got := tr.String(); got != want {
			t.Errorf("%d: %s, want %s", tr, got, want)
		}
	}
}
