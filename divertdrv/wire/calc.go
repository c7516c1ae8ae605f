package wire

import "encoding/binary"

// ChecksumFlags say which checksums CalcChecksums leaves alone, with WinDivert's bits.
type ChecksumFlags uint64

// The flags of WinDivertHelperCalcChecksums (WinDivert 2.2).
const (
	NoIP ChecksumFlags = 1 << iota
	NoICMP
	NoICMPv6
	NoTCP
	NoUDP
)

// Checksums is a set of checksums, in the same order as ChecksumFlags. Those of an Address become final with IPSum, TCPSum, UDPSum.
type Checksums uint8

// The checksums.
const (
	IPSum Checksums = 1 << iota
	ICMPSum
	ICMPv6Sum
	TCPSum
	UDPSum

	AllSums = IPSum | ICMPSum | ICMPv6Sum | TCPSum | UDPSum
)

// Of each transport: its checksum and the offset of the field in its header.
var (
	transportSums = [...]Checksums{NoTransport: 0, TCP: TCPSum, UDP: UDPSum, ICMP: ICMPSum, ICMPv6: ICMPv6Sum}
	sumOffsets    = [...]uint8{NoTransport: 0, TCP: tcpSum, UDP: udpSum, ICMP: icmpSum, ICMPv6: icmpSum}
)

// CalcChecksums computes and stores the checksums of the packet as WinDivertHelperCalcChecksums of WinDivert 2.2 does: the IPv4
// header's, then that of the transport, over all bytes that IP carries and with the destination of the IP header. A UDP
// checksum is written also where there was none. It reports what it stored. ok is false, and the transport's is not stored,
// if b is no IP packet or the transport's checksum was asked for and cannot be had: a first fragment, a truncated packet.
//
// For packets that were under way already Recompute is the better one: it leaves absent sums absent and wrong ones wrong.
func CalcChecksums(b []byte, flags ChecksumFlags) (done Checksums, ok bool) {
	var h Headers
	Parse(b, &h)
	return CalcParsed(b, &h, flags)
}

// CalcParsed is CalcChecksums for a packet whose headers are known.
func CalcParsed(b []byte, h *Headers, flags ChecksumFlags) (done Checksums, ok bool) {
	if h.Version == 0 {
		return 0, false
	}
	if h.Version == 4 && flags&NoIP == 0 {
		h.IPv4(b).SetChecksum(h.rightIPSum(b))
		done = IPSum
	}
	sum := transportSums[h.Transport]
	if sum == 0 || Checksums(flags)&sum != 0 {
		return done, true
	}
	if !h.whole() {
		return done, false
	}
	rest := b[h.TransportOff:h.Len]
	h.setTransportSum(b, h.rightSum(rest, h.pseudo(b, uint32(len(rest)))))
	return done | sum, true
}

// whole says that all that the transport checksum covers is here.
func (h *Headers) whole() bool { return !h.Truncated && !h.MoreFrags }

// pseudo is the partial sum of the pseudo header with the addresses of the IP header; 0 for ICMP, which has none.
func (h *Headers) pseudo(b []byte, length uint32) uint64 {
	switch {
	case h.Transport == ICMP:
		return 0
	case h.Version == 4:
		return (*IPv4Header)(b).Pseudo(h.Proto, length)
	default:
		return (*IPv6Header)(b).Pseudo(h.Proto, length)
	}
}

// sumIP is the partial sum of the IPv4 header with its options and its checksum.
func (h *Headers) sumIP(b []byte) uint64 {
	sum := (*IPv4Header)(b).sum()
	if h.HeaderLen > IPv4HeaderLen {
		sum = Sum(b[IPv4HeaderLen:h.HeaderLen], sum)
	}
	return sum
}

// The right checksum is computed with the old one in place, whose complement is added. Storing 0 first would make the wide load
// over it wait for the store. The result is the same bit for bit as long as something that is summed is not 0: the version of
// an IP header, the protocol in a pseudo header.

func (h *Headers) rightIPSum(b []byte) uint16 {
	return ^Fold(h.sumIP(b) + uint64(^words.Uint16(b[ipv4Sum:])))
}

// rightSum is the right checksum of the transport header and payload in rest.
func (h *Headers) rightSum(rest []byte, pseudo uint64) uint16 {
	if h.Transport == ICMP { // no pseudo header, and all of it may be 0
		return ^Fold(Sum(rest[4:], uint64(words.Uint16(rest))))
	}
	sum := ^Fold(Sum(rest, pseudo) + uint64(^words.Uint16(rest[sumOffsets[h.Transport]:])))
	if sum == 0 && h.Transport == UDP {
		return 0xffff // 0 would say that there is none (RFC 768)
	}
	return sum
}

func (h *Headers) setTransportSum(b []byte, sum uint16) {
	binary.BigEndian.PutUint16(b[h.TransportOff+uint32(sumOffsets[h.Transport]):], sum)
}

func (h *Headers) transportSum(b []byte) uint16 {
	return binary.BigEndian.Uint16(b[h.TransportOff+uint32(sumOffsets[h.Transport]):])
}
