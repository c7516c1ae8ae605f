package frag_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

func segments(t tb, b []byte, mss int) [][]byte {
	t.Helper()
	var c frag.Cutter
	var all [][]byte
	if err := c.Segment(b, parse(t, b), mss, func(p []byte) error {
		all = append(all, slices.Clone(p))
		return nil
	}); err != nil {
		t.Fatalf("segmenting %d bytes by %d: %v", len(b), mss, err)
	}
	return all
}

// verifies says by gvisor's sum whether the transport checksum is right; there is no Routing header with segments left.
func verifies(b []byte, h *wire.Headers) bool {
	addresses := b[12:20]
	if h.Version == 6 {
		addresses = b[8:40]
	}
	n := len(b) - int(h.TransportOff)
	pseudo := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, 0, 0, h.Proto}
	sum := checksum.Checksum(addresses, 0)
	sum = checksum.Checksum(pseudo, sum)
	return checksum.Checksum(b[h.TransportOff:], sum) == 0xffff
}

// Each segment is a packet with right lengths and checksums; their payloads, by sequence number, are the super-packet's.
func TestSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := packets(rapid.SampledFrom([]int{300, 65535}).Draw(t, "longest")).Filter(func(b []byte) bool {
			h := parse(t, b)
			return h.Transport == wire.UDP || h.Transport == wire.TCP && h.TCP(b).Flags()&(wire.SYN|wire.RST) == 0
		}).Draw(t, "packet")
		if rapid.Bool().Draw(t, "owed") { // as captured: only the pseudo header is summed, if anything
			h := parse(t, p)
			at := map[wire.Transport]uint32{wire.TCP: 16, wire.UDP: 6}[h.Transport]
			p[h.TransportOff+at] ^= 0x55
		}
		h := parse(t, p)
		mss := rapid.IntRange(max(1, h.PayloadLen()/50), 2000).Draw(t, "MSS")
		all := segments(t, p, mss)
		if h.PayloadLen() <= mss {
			if len(all) != 1 || !bytes.Equal(all[0], p) {
				t.Fatalf("a packet that needs no cutting was changed")
			}
			return
		}
		var got []byte
		for i, s := range all {
			checkSegment(t, p, s, len(got), i, i == len(all)-1)
			if payload := parse(t, s).Payload(s); len(payload) == mss || i == len(all)-1 && len(payload) < mss {
				got = append(got, payload...)
			} else {
				t.Fatalf("segment %d of %d has %d bytes, want %d", i, len(all), len(payload), mss)
			}
		}
		if !bytes.Equal(got, h.Payload(p)) {
			t.Fatal("the payload is another one")
		}
	})
}

func checkSegment(t *rapid.T, p, s []byte, at, number int, last bool) {
	t.Helper()
	h, hs := parse(t, p), parse(t, s)
	if int(hs.Len) != len(s) || hs.PayloadOff != h.PayloadOff || !verifies(s, hs) {
		t.Fatalf("segment %d: lengths or checksum: %+v", number, hs)
	}
	want := slices.Clone(p[:h.PayloadOff]) // the headers are the same but for these fields
	if h.Version == 4 {
		if wire.Checksum(s[:hs.HeaderLen]) != 0 {
			t.Fatalf("segment %d: header checksum", number)
		}
		ip := h.IPv4(want)
		ip.SetID(ip.ID() + uint16(number))
		ip.SetLength(uint16(len(s)))
		ip.SetChecksum(h.IPv4(s).Checksum())
	} else {
		h.IPv6(want).SetPayloadLength(uint16(len(s) - 40))
	}
	if h.Transport == wire.UDP {
		u := h.UDP(want)
		u.SetLength(uint16(len(s) - int(h.TransportOff)))
		u.SetChecksum(h.UDP(s).Checksum())
	} else {
		tcp, got := h.TCP(want), h.TCP(s)
		tcp.SetSeq(tcp.Seq() + uint32(at))
		tcp.SetChecksum(got.Checksum())
		tcp.SetFlags(wantFlags(tcp, at, last))
		if tcp.Flags()&wire.URG != 0 {
			tcp.SetUrgent(tcp.Urgent() - uint16(at))
		} else {
			tcp.SetUrgent(got.Urgent()) // means nothing
		}
	}
	if !bytes.Equal(want, s[:h.PayloadOff]) {
		t.Fatalf("segment %d at %d: headers\n% x, want\n% x", number, at, s[:h.PayloadOff], want)
	}
}

func wantFlags(tcp *wire.TCPHeader, at int, last bool) wire.TCPFlags {
	f := tcp.Flags()
	if !last {
		f &^= wire.FIN | wire.PSH
	}
	if at > 0 && f&wire.AE == 0 {
		f &^= wire.CWR
	}
	if at >= int(tcp.Urgent()) && at > 0 {
		f &^= wire.URG
	}
	return f
}

// Flags of three segments of 100 bytes, spelled out.
func TestFlagsOfSegments(t *testing.T) {
	const ack = wire.ACK
	for _, c := range []struct {
		name   string
		flags  wire.TCPFlags
		urgent uint16
		want   [3]wire.TCPFlags
		points [3]uint16
	}{
		{"plain", ack, 0, [3]wire.TCPFlags{ack, ack, ack}, [3]uint16{}},
		{"last only", ack | wire.PSH | wire.FIN, 0, [3]wire.TCPFlags{ack, ack, ack | wire.PSH | wire.FIN}, [3]uint16{}},
		{"first only", ack | wire.CWR, 0, [3]wire.TCPFlags{ack | wire.CWR, ack, ack}, [3]uint16{}},
		{"all", ack | wire.ECE, 0, [3]wire.TCPFlags{ack | wire.ECE, ack | wire.ECE, ack | wire.ECE}, [3]uint16{}},
		{
			"accurate ECN", ack | wire.AE | wire.CWR, 0,
			[3]wire.TCPFlags{ack | wire.AE | wire.CWR, ack | wire.AE | wire.CWR, ack | wire.AE | wire.CWR},
			[3]uint16{},
		},
		{"urgent up to 150", ack | wire.URG, 150, [3]wire.TCPFlags{ack | wire.URG, ack | wire.URG, ack}, [3]uint16{150, 50, 0}},
		{"urgent up to 100", ack | wire.URG, 100, [3]wire.TCPFlags{ack | wire.URG, ack, ack}, [3]uint16{100, 0, 0}},
	} {
		both(t, func(t *testing.T, v6 bool) {
			b := tcpPacket(v6, c.flags, c.urgent, 300)
			for i, s := range segments(t, b, 100) {
				tcp := parse(t, s).TCP(s)
				if tcp.Flags() != c.want[i] || tcp.Urgent() != c.points[i] || tcp.Seq() != 0xffffffff-50+uint32(100*i) {
					t.Errorf("%s, segment %d: flags %#x, urgent %d, seq %#x", c.name, i, tcp.Flags(), tcp.Urgent(), tcp.Seq())
				}
			}
		})
	}
}

// tcpPacket is a packet whose sequence numbers wrap round 50 bytes on.
func tcpPacket(v6 bool, flags wire.TCPFlags, urgent uint16, payload int) []byte {
	b := fragmentOf(v6, 5, wire.ProtoTCP, piece{0, 20 + payload, false, 'A'})
	if v6 {
		b = slices.Concat(b[:40], b[48:])
		(*wire.IPv6Header)(b).SetNextHeader(wire.ProtoTCP)
		(*wire.IPv6Header)(b).SetPayloadLength(uint16(len(b) - 40))
	}
	tcp := (*wire.TCPHeader)(b[len(b)-20-payload:])
	tcp.SetHeaderLen(20)
	tcp.SetFlags(flags)
	tcp.SetUrgent(urgent)
	tcp.SetSeq(0xffffffff - 50)
	return checksummed(b)
}

func TestNoSegments(t *testing.T) {
	tcp := tcpPacket(false, wire.ACK, 0, 1000)
	fragment := piece{0, 1000, true, 'A'}.build(false)
	other := fragmentOf(false, 1, 132, piece{0, 1000, false, 'A'})
	other[6], other[7] = 0, 0
	routed := withExtension(piece{0, 1000, false, 'A'}.build(true), wire.ProtoRouting, 0)
	routed = slices.Concat(routed[:48], routed[56:])
	routed[40], routed[43] = wire.ProtoUDP, 1
	(*wire.IPv6Header)(routed).SetPayloadLength(uint16(len(routed) - 40))
	for _, c := range []struct {
		name string
		b    []byte
		mss  int
		want error
	}{
		{"nothing", nil, 100, frag.ErrMalformed},
		{"truncated", tcp[:500], 100, frag.ErrMalformed},
		{"MSS 0", tcp, 0, frag.ErrNoSegmentSize},
		{"fragment", fragment, 100, frag.ErrNoSegments},
		{"SCTP", other, 100, frag.ErrNoSegments},
		{"SYN", tcpPacket(true, wire.SYN, 0, 1000), 100, frag.ErrNoSegments},
		{"RST", tcpPacket(true, wire.RST, 0, 1000), 100, frag.ErrNoSegments},
		{"on its way elsewhere", routed, 100, frag.ErrNoSegments},
		{"SYN that fits", tcpPacket(true, wire.SYN, 0, 100), 100, nil},
		{"TCP", tcp, 100, nil},
	} {
		var cutter frag.Cutter
		var h wire.Headers
		wire.Parse(c.b, &h)
		if err := cutter.Segment(c.b, &h, c.mss, func([]byte) error { return nil }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	stop := errors.New("stop")
	var cutter frag.Cutter
	if err := cutter.Segment(tcp, parse(t, tcp), 100, func([]byte) error { return stop }); err != stop {
		t.Errorf("%v, want emit's error", err)
	}
}

// UDP over IPv4 without a checksum stays without; over IPv6 there must be one.
func TestUDPChecksumOfSegments(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		b := piece{0, 1000, false, 'A'}.build(v6)
		if v6 {
			b = slices.Concat(b[:40], b[48:])
			(*wire.IPv6Header)(b).SetNextHeader(wire.ProtoUDP)
			(*wire.IPv6Header)(b).SetPayloadLength(uint16(len(b) - 40))
		}
		h := parse(t, b)
		h.UDP(b).SetChecksum(0)
		for i, s := range segments(t, b, 300) {
			hs := parse(t, s)
			if got := hs.UDP(s).Checksum(); got == 0 && v6 || got != 0 && !v6 || v6 && !verifies(s, hs) {
				t.Errorf("segment %d has checksum %#x", i, got)
			}
		}
	})
}

// gopacket, which knows nothing of us, finds no fault and the same numbers in the segments.
func TestGopacketReadsSegments(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		first := layers.LayerTypeIPv4
		if v6 {
			first = layers.LayerTypeIPv6
		}
		for i, s := range segments(t, tcpPacket(v6, wire.ACK|wire.PSH, 0, 4000), 1448) {
			p := gopacket.NewPacket(s, first, gopacket.Default)
			if e := p.ErrorLayer(); e != nil {
				t.Fatal(e.Error())
			}
			tcp := p.TransportLayer().(*layers.TCP)
			if tcp.PSH != (i == 2) || tcp.Seq != 0xffffffff-50+uint32(1448*i) || len(tcp.Payload) != min(1448, 4000-1448*i) {
				t.Errorf("segment %d: %+v", i, tcp)
			}
		}
	})
}
