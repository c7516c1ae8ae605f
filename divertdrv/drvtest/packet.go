package drvtest

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Port is where the suite's datagrams go. It is how filters of the suite, and Networks that capture from a live one, tell its
// packets from others.
const Port = 40961

// filterAll matches every packet of the suite at the network layers, and none of others.
const filterAll = "udp.DstPort == 40961"

// mark stands at the start of the payload, before the packet's number.
const mark = "weir:drvtest:"

const (
	payloadOff = len(mark) + 4 // what is behind the number
	payloadLen = payloadOff + 15
	sourcePort = 40001
	hopLimit   = 64
)

var (
	documentation4 = Hosts{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("203.0.113.3")}
	documentation6 = Hosts{
		netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::2"), netip.MustParseAddr("2001:db8:3::3"),
	}
)

// spec describes a datagram of the suite. The zero value is a short one over IPv4 from the host to the wire.
type spec struct {
	way     Way
	n       int // its number
	ipv6    bool
	size    int // bytes of the whole packet; 0: short
	hops    uint8
	badSum  bool // its UDP checksum is wrong
	srcPort uint16
}

// ends returns where a packet comes from and where it goes.
func (w *World) ends(s spec) (src, dst netip.Addr) {
	h := w.IPv4
	if s.ipv6 {
		h = w.IPv6
	}
	switch s.way {
	case Inbound:
		return h.Remote, h.Local
	case Loopback:
		return h.Local, h.Local
	case Forwarded:
		return h.Remote, h.Beyond
	}
	return h.Local, h.Remote
}

// build makes a datagram with right lengths and checksums.
func (w *World) build(s spec) []byte {
	src, dst := w.ends(s)
	header := wire.IPv4HeaderLen
	if s.ipv6 {
		header = wire.IPv6HeaderLen
	}
	b := make([]byte, max(s.size, header+wire.UDPHeaderLen+payloadLen))
	if s.ipv6 {
		putIPv6(b, src, dst)
	} else {
		putIPv4(b, src, dst, uint16(s.n+1))
	}
	hops := b[8:9]
	if s.ipv6 {
		hops = b[7:8]
	}
	if s.hops != 0 {
		hops[0] = s.hops
	}
	udp := b[header:]
	if s.srcPort == 0 {
		s.srcPort = sourcePort
	}
	binary.BigEndian.PutUint16(udp, s.srcPort)
	binary.BigEndian.PutUint16(udp[2:], Port)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	payload := udp[wire.UDPHeaderLen:]
	copy(payload, mark)
	binary.BigEndian.PutUint32(payload[len(mark):], uint32(s.n))
	for i := payloadOff; i < len(payload); i++ {
		payload[i] = byte(i + s.n)
	}
	wire.CalcChecksums(b, 0)
	if s.badSum {
		udp[6] ^= 0x5a
	}
	return b
}

func putIPv4(b []byte, src, dst netip.Addr, id uint16) {
	b[0], b[8], b[9] = 0x45, hopLimit, wire.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id) // a stack fills in one that is 0
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
}

func putIPv6(b []byte, src, dst netip.Addr) {
	b[0], b[6], b[7] = 0x60, wire.ProtoUDP, hopLimit
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6HeaderLen))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
}

// number reads a packet of the suite; false: it is none.
func number(b []byte) (n int, ok bool) {
	var h wire.Headers
	if !wire.Parse(b, &h) || h.Transport != wire.UDP {
		return 0, false
	}
	p := b[h.PayloadOff:]
	if len(p) < payloadOff || string(p[:len(mark)]) != mark {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(p[len(mark):])), true
}

// differ shows the first byte where two packets differ; empty: they do not.
func differ(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d is %#02x, want %#02x\n got %x\nwant %x", i, got[i], want[i], got, want)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
	}
	return ""
}
