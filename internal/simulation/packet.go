package simulation

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// The addresses of the simulated world (RFC 5737, RFC 3849): the host's, and those of peers.
var (
	own4, own6 = netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8:1::10")
	peers      = []netip.Addr{
		netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("203.0.113.7"),
		netip.MustParseAddr("2001:db8:2::1"), netip.MustParseAddr("2001:db8:3::7"),
	}
	loopback4, loopback6 = netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
)

const (
	protoTCP, protoUDP = 6, 17
	mtu                = 1500
)

// shape is all that a packet is made of.
type shape struct {
	src, dst     netip.Addr // of one family
	proto        byte
	sport, dport uint16
	ttl          byte
	dontFragment bool // IPv4 only
	number       uint32
	size         int // bytes of payload, at least 4: it starts with number
}

// outward draws the shape of a packet from the host; swap turns it around.
func outward(d *rand.Rand, number uint32) shape {
	s := shape{
		src: own4, dst: peers[d.IntN(len(peers))], proto: protoUDP,
		sport: uint16(1024 + d.IntN(4)*100), dport: []uint16{53, 80, 443}[d.IntN(3)],
		ttl: []byte{64, 64, 64, 2, 1}[d.IntN(5)], dontFragment: true, number: number, size: 4 + d.IntN(60),
	}
	if d.IntN(2) == 0 {
		s.proto = protoTCP
	}
	switch big := d.IntN(40); {
	case big == 0:
		s.size = 400 + d.IntN(900)
	case big == 1 && s.dst.Is4():
		s.size = mtu // over the wire's limit with its headers, and it may not be cut
	}
	s.family()
	return s
}

// family makes the host's address one of the peer's family.
func (s *shape) family() {
	if s.dst.Is6() {
		s.src = own6
	} else {
		s.src = own4
	}
}

func (s shape) swap() shape {
	s.src, s.dst, s.sport, s.dport = s.dst, s.src, s.dport, s.sport
	return s
}

// looped draws the shape of a packet from the host to itself.
func looped(d *rand.Rand, number uint32, named bool) shape {
	s := outward(d, number)
	s.dst, s.size = loopback4, 4+s.size%1000
	if d.IntN(2) == 0 {
		s.dst = loopback6
	}
	s.family()
	if named && d.IntN(2) == 0 {
		s.dst = s.src
	}
	return s
}

// bytes makes the packet, lengths and checksums right.
func (s shape) bytes() []byte {
	b := make([]byte, 0, 80+s.size)
	if s.src.Is4() {
		b = append(b, 0x45, 0, 0, 0, byte(s.number>>8), byte(s.number), 0, 0, s.ttl, s.proto, 0, 0)
		if s.dontFragment {
			b[6] = 0x40
		}
	} else {
		b = append(b, 0x60, 0, 0, 0, 0, 0, s.proto, s.ttl)
	}
	b = append(append(b, s.src.AsSlice()...), s.dst.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, s.sport)
	b = binary.BigEndian.AppendUint16(b, s.dport)
	if s.proto == protoTCP {
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0)
	} else {
		b = append(b, 0, 0, 0, 0)
	}
	b = binary.BigEndian.AppendUint32(b, s.number)
	for i := 4; i < s.size; i++ {
		b = append(b, byte(i)*7+byte(s.number))
	}
	repair(b)
	return b
}

// layout finds in a packet of ours where its transport starts, and its checksum is.
func layout(b []byte) (transport, sum int, udp bool) {
	transport, proto := 20, b[9]
	if b[0]>>4 == 6 {
		transport, proto = 40, b[6]
	}
	if proto == protoUDP {
		return transport, transport + 6, true
	}
	return transport, transport + 16, false
}

// repair sets lengths and checksums of a packet of ours, the plain way: RFC 791, 768, 9293, 8200.
func repair(b []byte) {
	transport, at, udp := layout(b)
	var pseudo []byte
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ^fold(b[:20]))
		pseudo = append(pseudo, b[12:20]...)
		pseudo = append(pseudo, 0, b[9])
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		pseudo = append(pseudo, b[8:40]...)
		pseudo = append(pseudo, 0, b[6])
	}
	length := len(b) - transport
	if udp {
		binary.BigEndian.PutUint16(b[transport+4:], uint16(length))
	}
	b[at], b[at+1] = 0, 0
	pseudo = append(pseudo, byte(length>>8), byte(length))
	sum := ^fold(append(pseudo, b[transport:]...))
	if udp && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], sum)
}

// fold is the ones' complement sum of 16-bit words (RFC 1071), a last odd byte filled up with zero.
func fold(b []byte) uint16 {
	var sum uint32
	for i := range b {
		sum += uint32(b[i]) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// spoil puts nonsense where the checksums are.
func spoil(b []byte) {
	_, at, _ := layout(b)
	b[at] ^= 0x5a
	if b[0]>>4 == 4 {
		b[10] ^= 0xa5
	}
}

// fragments cuts an IPv4 packet of ours into pieces of n bytes of payload, a multiple of 8.
func fragments(b []byte, n int) (pieces [][]byte) {
	for at := 20; at < len(b); at += n {
		end := min(at+n, len(b))
		p := append(append([]byte(nil), b[:20]...), b[at:end]...)
		field := uint16((at - 20) / 8)
		if end < len(b) {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[6:], field)
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], ^fold(p[:20]))
		pieces = append(pieces, p)
	}
	return pieces
}
