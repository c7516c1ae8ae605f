package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPv6Header is the fixed IPv6 header in place (RFC 8200 3); it belongs to whoever owns the packet. IPv6 has no header checksum,
// but addresses and payload length count in the transport's: see SetSrcAddr and Recompute.
type IPv6Header [IPv6HeaderLen]byte

// Bytes from the start of the header.
const (
	ipv6HopLimit = 7
	ipv6Src      = 8
	ipv6Dst      = 24
)

const flowLabelMask = 1<<20 - 1

// IPv6 returns the packet's IPv6 header, nil iff h.Version is not 6.
func (h *Headers) IPv6(b []byte) *IPv6Header {
	if h.Version != 6 {
		return nil
	}
	return (*IPv6Header)(b)
}

func (ip *IPv6Header) first() uint32 { return binary.BigEndian.Uint32(ip[0:]) }

func (ip *IPv6Header) setFirst(mask, v uint32) {
	binary.BigEndian.PutUint32(ip[0:], ip.first()&^mask|v&mask)
}

// Version is 6.
func (ip *IPv6Header) Version() uint8 { return ip[0] >> 4 }

// SetVersion sets the version to 6.
func (ip *IPv6Header) SetVersion() { ip[0] = 6<<4 | ip[0]&0xf }

// TrafficClass is DSCP in the upper six bits, ECN in the lower two.
func (ip *IPv6Header) TrafficClass() uint8 { return uint8(ip.first() >> 20) }

// SetTrafficClass sets DSCP and ECN.
func (ip *IPv6Header) SetTrafficClass(v uint8) { ip.setFirst(0xff<<20, uint32(v)<<20) }

// FlowLabel is the flow label, 20 bits.
func (ip *IPv6Header) FlowLabel() uint32 { return ip.first() & flowLabelMask }

// SetFlowLabel sets the flow label; bits above the 20th are lost.
func (ip *IPv6Header) SetFlowLabel(v uint32) { ip.setFirst(flowLabelMask, v) }

// PayloadLength is the length of all that follows this header in bytes, extension headers included.
func (ip *IPv6Header) PayloadLength() uint16 { return binary.BigEndian.Uint16(ip[4:]) }

// SetPayloadLength sets the length of all that follows this header in bytes.
func (ip *IPv6Header) SetPayloadLength(v uint16) { binary.BigEndian.PutUint16(ip[4:], v) }

// NextHeader is the protocol number of the first extension header or of the transport.
func (ip *IPv6Header) NextHeader() uint8 { return ip[6] }

// SetNextHeader sets the next header.
func (ip *IPv6Header) SetNextHeader(v uint8) { ip[6] = v }

// HopLimit is the hop limit.
func (ip *IPv6Header) HopLimit() uint8 { return ip[ipv6HopLimit] }

// SetHopLimit sets the hop limit.
func (ip *IPv6Header) SetHopLimit(v uint8) { ip[ipv6HopLimit] = v }

// Src is the source address.
func (ip *IPv6Header) Src() netip.Addr { return netip.AddrFrom16([16]byte(ip[ipv6Src:])) }

// SetSrc sets the source address; a zone is ignored. It reports false and changes nothing unless a is an IPv6 address.
func (ip *IPv6Header) SetSrc(a netip.Addr) bool { return putIPv6(ip[ipv6Src:], a) }

// Dst is the destination address: the next one, where a Routing header names more.
func (ip *IPv6Header) Dst() netip.Addr { return netip.AddrFrom16([16]byte(ip[ipv6Dst:])) }

// SetDst sets the destination address, as SetSrc does.
func (ip *IPv6Header) SetDst(a netip.Addr) bool { return putIPv6(ip[ipv6Dst:], a) }

func putIPv6(field []byte, a netip.Addr) bool {
	if !a.Is6() {
		return false
	}
	*(*[16]byte)(field) = a.As16()
	return true
}

// Pseudo returns the partial sum of the pseudo header for a transport header with payload of length bytes. It takes the
// destination of this header, which is not the right one while a Routing header has segments left.
func (ip *IPv6Header) Pseudo(proto uint8, length uint32) uint64 {
	return sum16((*[16]byte)(ip[ipv6Src:])) + sum16((*[16]byte)(ip[ipv6Dst:])) + pseudoTail(proto, length)
}
