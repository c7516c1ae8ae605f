package wire

import (
	"encoding/binary"
	"strconv"
)

// Lengths of fixed headers in bytes.
const (
	IPv4HeaderLen   = 20 // without options; RFC 791 3.1
	IPv6HeaderLen   = 40 // RFC 8200 3
	TCPHeaderLen    = 20 // without options; RFC 9293 3.1
	UDPHeaderLen    = 8  // RFC 768
	ICMPHeaderLen   = 8  // RFC 792 and RFC 4443 with the four bytes of body that every message has
	FragmentLen     = 8  // RFC 8200 4.5
	MaxPacketLen    = IPv6HeaderLen + 0xffff
	fragmentUnit    = 8
	fragOffMask     = 0x1fff
	moreFragsMask   = 0x2000
	dontFragMask    = 0x4000
	v6FragOffShift  = 3
	tcpWordLen      = 4
	minExtHeaderLen = 2
)

// Protocol numbers that decoding looks at (IANA protocol-numbers).
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoESP      = 50
	ProtoAH       = 51
	ProtoICMPv6   = 58
	ProtoNoNext   = 59
	ProtoDestOpts = 60
	ProtoMobility = 135
)

// Transport names the transport header that was found whole in the packet.
type Transport uint8

// The transports that decoding knows.
const (
	NoTransport Transport = iota // none, unknown, cut off, or a later fragment
	TCP
	UDP
	ICMP   // in IPv4 only
	ICMPv6 // in IPv6 only
)

// String returns the transport's name in lower case, "none" for NoTransport.
func (t Transport) String() string {
	if t > ICMPv6 {
		return "transport(" + strconv.Itoa(int(t)) + ")"
	}
	return [...]string{"none", "tcp", "udp", "icmp", "icmpv6"}[t]
}

// Headers says what is known of one packet: offsets and the few values that decide what else is valid. It holds no
// pointer and no copy of the packet; views (IPv4Header, TCPHeader, …) read the rest in place. All offsets and lengths are
// bytes from the start of the IP header, and Parse guarantees that they lie within the packet it was given. Methods that take
// the packet again want those bytes: with a shorter slice they panic as any index out of range does.
type Headers struct {
	Version   uint8     // 4 or 6; 0: not an IP packet, and nothing below is valid
	Proto     uint8     // valid iff Version != 0: after IPv6 extension headers; of a later fragment: the next header found
	Transport Transport // NoTransport unless the whole fixed header is present in an unfragmented packet or a first fragment
	Fragment  bool      // IPv4: MF or offset != 0; IPv6: a Fragment header was seen, an atomic fragment too
	MoreFrags bool      // valid iff Fragment
	Truncated bool      // the IP header promises more bytes than there are

	FragOff      uint16 // valid iff Fragment: bytes, a multiple of 8
	HeaderLen    uint16 // valid iff Version != 0: IPv4 with options, 20..60; IPv6 40
	FragHeader   uint32 // valid iff Version == 6 and Fragment: offset of the Fragment header
	TransportOff uint32 // valid iff Version != 0: behind options and extension headers
	PayloadOff   uint32 // valid iff Version != 0: behind the transport header, or TransportOff where there is none
	Len          uint32 // valid iff Version != 0: the bytes of the packet that are here, at most Total
	Total        uint32 // valid iff Version != 0: length by the IP header, 20..65575
}

// PayloadLen is the number of payload bytes that are here: behind the transport header, or all that IP carries where there is none.
func (h *Headers) PayloadLen() int { return int(h.Len - h.PayloadOff) }

// Payload returns the bytes that PayloadLen counts; they are part of the packet.
func (h *Headers) Payload(b []byte) []byte { return b[h.PayloadOff:h.Len] }

// Parse decodes the headers of the IP packet that starts at b[0] into h. It reports whether b holds an IP packet; if not,
// h.Version is 0. Bytes behind the IP length are ignored; missing ones set Truncated. It never allocates, never panics, and
// walks IPv6 extension headers as WinDivert does: Hop-by-Hop, Routing, Fragment (once), AH, Destination Options and Mobility.
func Parse(b []byte, h *Headers) bool {
	*h = Headers{}
	if len(b) < IPv4HeaderLen {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return h.parseIPv4(b)
	case 6:
		return h.parseIPv6(b)
	}
	return false
}

// The fields are stored one by one: from a composite literal the compiler copies with wide moves that wait for the narrow
// stores before them, which makes the whole of Parse half as fast.

func (h *Headers) parseIPv4(b []byte) bool {
	ip := (*[IPv4HeaderLen]byte)(b)
	hlen := uint32(ip[0]&0xf) * tcpWordLen
	total := uint32(binary.BigEndian.Uint16(ip[2:]))
	here := min(total, uint32(len(b)))
	if hlen < IPv4HeaderLen || here < hlen {
		return false
	}
	h.Version, h.Proto, h.HeaderLen = 4, ip[9], uint16(hlen)
	h.Len, h.Total, h.Truncated = here, total, here < total
	h.TransportOff, h.PayloadOff = hlen, hlen
	if frag := binary.BigEndian.Uint16(ip[6:]); frag&(fragOffMask|moreFragsMask) != 0 {
		h.Fragment = true
		h.MoreFrags = frag&moreFragsMask != 0
		h.FragOff = frag & fragOffMask * fragmentUnit
		if h.FragOff != 0 {
			return true
		}
	}
	h.parseTransport(b[hlen:here], ip[9], ProtoICMP, ICMP)
	return true
}

func (h *Headers) parseIPv6(b []byte) bool {
	if len(b) < IPv6HeaderLen {
		return false
	}
	ip := (*[IPv6HeaderLen]byte)(b)
	total := IPv6HeaderLen + uint32(binary.BigEndian.Uint16(ip[4:]))
	here := min(total, uint32(len(b)))
	h.Version, h.Proto, h.HeaderLen = 6, ip[6], IPv6HeaderLen
	h.Len, h.Total, h.Truncated = here, total, here < total
	h.TransportOff, h.PayloadOff = IPv6HeaderLen, IPv6HeaderLen
	if !isExtension(ip[6]) {
		h.parseTransport(b[IPv6HeaderLen:here], ip[6], ProtoICMPv6, ICMPv6)
		return true
	}
	h.walkExtensions(b)
	h.PayloadOff = h.TransportOff
	if h.FragOff == 0 {
		h.parseTransport(b[h.TransportOff:here], h.Proto, ProtoICMPv6, ICMPv6)
	}
	return true
}

func isExtension(proto uint8) bool {
	switch proto {
	case ProtoHopByHop, ProtoRouting, ProtoFragment, ProtoAH, ProtoDestOpts, ProtoMobility:
		return true
	}
	return false
}

// walkExtensions moves TransportOff and Proto behind the extension headers. Each step consumes at least 8 bytes, so it ends;
// a header that is cut off, a second Fragment header, and whatever follows the header of a later fragment stop it.
func (h *Headers) walkExtensions(b []byte) {
	for isExtension(h.Proto) && h.FragOff == 0 {
		rest := b[h.TransportOff:h.Len]
		size := extensionSize(h.Proto, rest)
		if size == 0 || h.Proto == ProtoFragment && h.Fragment {
			return
		}
		if h.Proto == ProtoFragment {
			off := binary.BigEndian.Uint16(rest[2:])
			h.Fragment, h.MoreFrags = true, off&1 != 0
			h.FragOff = off &^ (1<<v6FragOffShift - 1)
			h.FragHeader = h.TransportOff
		}
		h.Proto = rest[0]
		h.TransportOff += size
	}
}

// extensionSize is the size in bytes of the extension header at the start of rest, at least 8; 0 if it is cut off.
func extensionSize(proto uint8, rest []byte) uint32 {
	if len(rest) < minExtHeaderLen {
		return 0
	}
	size := (uint32(rest[1]) + 1) * 8
	switch proto {
	case ProtoAH:
		size = (uint32(rest[1]) + 2) * 4
	case ProtoFragment:
		size = FragmentLen
	}
	if uint32(len(rest)) < size {
		return 0
	}
	return size
}

// parseTransport sets Transport and PayloadOff from the bytes behind the IP headers. It is not called for a later fragment,
// which has no transport header: what stands there is data that somebody else chose, and reading ports from it lets a
// fragment walk past a filter (RFC 1858). Each ICMP belongs to one IP version. It is small enough to be inlined.
func (h *Headers) parseTransport(rest []byte, proto, icmpProto uint8, icmp Transport) {
	switch {
	case proto == ProtoTCP && len(rest) >= TCPHeaderLen:
		if hlen := uint32(rest[12]>>4) * tcpWordLen; hlen >= TCPHeaderLen {
			h.Transport = TCP
			h.PayloadOff += min(hlen, uint32(len(rest)))
		}
	case proto == ProtoUDP && len(rest) >= UDPHeaderLen:
		h.Transport = UDP
		h.PayloadOff += UDPHeaderLen
	case proto == icmpProto && len(rest) >= ICMPHeaderLen:
		h.Transport = icmp
		h.PayloadOff += ICMPHeaderLen
	}
}
