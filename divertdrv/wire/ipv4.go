package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPv4Header is the fixed IPv4 header in place (RFC 791 3.1); it belongs to whoever owns the packet. Setters leave the checksum
// as it was: see Recompute, or SetSrcAddr and its like, which repair it.
type IPv4Header [IPv4HeaderLen]byte

// Where the fields are that other files of this package read too; bytes from the start of the header.
const (
	ipv4TTL = 8
	ipv4Sum = 10
	ipv4Src = 12
	ipv4Dst = 16
)

// IPv4 returns the packet's IPv4 header, nil iff h.Version is not 4.
func (h *Headers) IPv4(b []byte) *IPv4Header {
	if h.Version != 4 {
		return nil
	}
	return (*IPv4Header)(b)
}

// IPv4Options returns the options of an IPv4 packet, none for anything else.
func (h *Headers) IPv4Options(b []byte) Options {
	if h.Version != 4 {
		return Options{}
	}
	return Options{rest: b[IPv4HeaderLen:h.HeaderLen]}
}

// Version is 4.
func (ip *IPv4Header) Version() uint8 { return ip[0] >> 4 }

// HeaderLen is the length of the header with options in bytes, a multiple of 4; at least 20 in what Parse accepts.
func (ip *IPv4Header) HeaderLen() int { return int(ip[0]&0xf) * 4 }

// SetHeaderLen sets version 4 and the header's length in bytes, 20..60, a multiple of 4.
func (ip *IPv4Header) SetHeaderLen(n int) { ip[0] = 4<<4 | uint8(n/4)&0xf }

// TOS is the type of service: DSCP in the upper six bits, ECN in the lower two.
func (ip *IPv4Header) TOS() uint8 { return ip[1] }

// SetTOS sets DSCP and ECN.
func (ip *IPv4Header) SetTOS(v uint8) { ip[1] = v }

// Length is the length of the packet in bytes.
func (ip *IPv4Header) Length() uint16 { return binary.BigEndian.Uint16(ip[2:]) }

// SetLength sets the length of the packet in bytes.
func (ip *IPv4Header) SetLength(v uint16) { binary.BigEndian.PutUint16(ip[2:], v) }

// ID is the identification.
func (ip *IPv4Header) ID() uint16 { return binary.BigEndian.Uint16(ip[4:]) }

// SetID sets the identification.
func (ip *IPv4Header) SetID(v uint16) { binary.BigEndian.PutUint16(ip[4:], v) }

// DF forbids fragmenting.
func (ip *IPv4Header) DF() bool { return ip.frag()&dontFragMask != 0 }

// SetDF sets DF.
func (ip *IPv4Header) SetDF(on bool) { ip.setFragBits(dontFragMask, bit(on, dontFragMask)) }

// MF says that more fragments follow.
func (ip *IPv4Header) MF() bool { return ip.frag()&moreFragsMask != 0 }

// SetMF sets MF.
func (ip *IPv4Header) SetMF(on bool) { ip.setFragBits(moreFragsMask, bit(on, moreFragsMask)) }

// FragOff is the fragment offset in bytes, a multiple of 8, 0..65528.
func (ip *IPv4Header) FragOff() uint16 { return ip.frag() & fragOffMask * fragmentUnit }

// SetFragOff sets the fragment offset in bytes; the lower three bits are lost.
func (ip *IPv4Header) SetFragOff(bytes uint16) { ip.setFragBits(fragOffMask, bytes/fragmentUnit) }

func (ip *IPv4Header) frag() uint16 { return binary.BigEndian.Uint16(ip[6:]) }

func (ip *IPv4Header) setFragBits(mask, v uint16) {
	binary.BigEndian.PutUint16(ip[6:], ip.frag()&^mask|v)
}

func bit(on bool, mask uint16) uint16 {
	if on {
		return mask
	}
	return 0
}

// TTL is the time to live, in hops.
func (ip *IPv4Header) TTL() uint8 { return ip[ipv4TTL] }

// SetTTL sets the time to live; the function SetTTL repairs the checksum too.
func (ip *IPv4Header) SetTTL(v uint8) { ip[ipv4TTL] = v }

// Protocol is the protocol number of what follows.
func (ip *IPv4Header) Protocol() uint8 { return ip[9] }

// SetProtocol sets the protocol number.
func (ip *IPv4Header) SetProtocol(v uint8) { ip[9] = v }

// Checksum is the header checksum.
func (ip *IPv4Header) Checksum() uint16 { return binary.BigEndian.Uint16(ip[ipv4Sum:]) }

// SetChecksum sets the header checksum.
func (ip *IPv4Header) SetChecksum(v uint16) { binary.BigEndian.PutUint16(ip[ipv4Sum:], v) }

// Src is the source address.
func (ip *IPv4Header) Src() netip.Addr { return netip.AddrFrom4([4]byte(ip[ipv4Src:])) }

// SetSrc sets the source address. It reports false and changes nothing unless a is an IPv4 address, mapped or not.
func (ip *IPv4Header) SetSrc(a netip.Addr) bool { return putIPv4(ip[ipv4Src:], a) }

// Dst is the destination address.
func (ip *IPv4Header) Dst() netip.Addr { return netip.AddrFrom4([4]byte(ip[ipv4Dst:])) }

// SetDst sets the destination address, as SetSrc does.
func (ip *IPv4Header) SetDst(a netip.Addr) bool { return putIPv4(ip[ipv4Dst:], a) }

func putIPv4(field []byte, a netip.Addr) bool {
	if a = a.Unmap(); !a.Is4() {
		return false
	}
	*(*[4]byte)(field) = a.As4()
	return true
}

// Pseudo returns the partial sum of the pseudo header for a transport header with payload of length bytes.
func (ip *IPv4Header) Pseudo(proto uint8, length uint32) uint64 {
	return uint64(words.Uint32(ip[ipv4Src:])) + uint64(words.Uint32(ip[ipv4Dst:])) + pseudoTail(proto, length)
}

// sum is the partial sum of the fixed header, the checksum included.
func (ip *IPv4Header) sum() uint64 {
	return uint64(words.Uint32(ip[0:])) + uint64(words.Uint32(ip[4:])) + uint64(words.Uint32(ip[8:])) +
		uint64(words.Uint32(ip[12:])) + uint64(words.Uint32(ip[16:]))
}
