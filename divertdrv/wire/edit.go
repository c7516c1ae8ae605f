package wire

import (
	"math/bits"
	"net/netip"
)

// Edited says what became of an edit and of the checksums that cover what it changed.
type Edited uint8

// The outcomes of an edit.
const (
	EditRefused Edited = iota // nothing was changed: the packet has no such field, or the value does not fit it
	EditDone                  // the field was changed and every checksum that covers it was updated

	// EditSumElsewhere: the field and the IPv4 header checksum were changed, but the transport checksum that covers the
	// addresses is not here: it is in the first fragment (which covers all of the datagram: give it the same edit), cut off,
	// or of a protocol that is unknown here.
	EditSumElsewhere
)

// The functions below change one field and update the checksums that cover it by RFC 1624, in time that does not depend on the
// length of the packet (but for an ICMP checksum that becomes 0). A checksum that was wrong stays wrong by as much. A UDP checksum of 0 stays 0, which says that there
// is none; one that becomes 0 is stored as 0xffff (RFC 768). Packets that an ICMP error quotes are left alone. h stays valid.

// SetSrcAddr sets the source address. It is refused unless a is of the packet's IP version; IPv4 may be mapped into IPv6.
func SetSrcAddr(b []byte, h *Headers, a netip.Addr) Edited { return h.setAddr(b, ipv4Src, ipv6Src, a) }

// SetDstAddr sets the destination address as SetSrcAddr does. While a Routing header has segments left this is the next
// destination, which no checksum covers; behind one of unknown kind the outcome is EditSumElsewhere.
func SetDstAddr(b []byte, h *Headers, a netip.Addr) Edited { return h.setAddr(b, ipv4Dst, ipv6Dst, a) }

func (h *Headers) setAddr(b []byte, at4, at6 int, a netip.Addr) Edited {
	if h.Version != 4 {
		return h.setIPv6Addr(b, at6, a)
	}
	if !a.Is4() && !a.Is4In6() {
		return EditRefused
	}
	ip, addr := (*IPv4Header)(b), a.As4()
	old, repl := words.Uint32(ip[at4:]), words.Uint32(addr[:])
	words.PutUint32(ip[at4:], repl)
	by := foldWords(uint64(^old) + uint64(repl))
	words.PutUint16(ip[ipv4Sum:], updated(words.Uint16(ip[ipv4Sum:]), by))
	return h.updatePseudo(b, by)
}

func (h *Headers) setIPv6Addr(b []byte, at int, a netip.Addr) Edited {
	if h.Version != 6 || !a.Is6() {
		return EditRefused
	}
	field, addr := (*[16]byte)(b[at:]), a.As16()
	const ones = 4 * (1<<32 - 1) // less the sum of four words: the sum of their complements
	by := foldWords(ones - sum16(field) + sum16(&addr))
	*field = addr
	if at == ipv6Dst && h.TransportOff != IPv6HeaderLen {
		switch h.finalDst(b) {
		case 0:
			return EditSumElsewhere
		case ipv6Dst:
		default:
			return EditDone
		}
	}
	return h.updatePseudo(b, by)
}

// updatePseudo carries the change of an address into the transport checksum.
func (h *Headers) updatePseudo(b []byte, by uint16) Edited {
	if h.Transport != NoTransport && h.Transport != ICMP {
		h.updateTransport(b, by)
		return EditDone
	}
	if h.Transport == ICMP || hasNoPseudoHeader(h.Proto, h.Version) {
		return EditDone
	}
	return EditSumElsewhere
}

// hasNoPseudoHeader says of a protocol that nothing in it is known to cover the addresses. Doubtful ones do.
func hasNoPseudoHeader(proto, version uint8) bool {
	const igmp, ipv4, ipv6, gre, sctp = 2, 4, 41, 47, 132
	switch proto {
	case igmp, ipv4, ipv6, gre, sctp, ProtoESP, ProtoNoNext:
		return true
	case ProtoICMP:
		return version == 4
	}
	return false
}

// SetSrcPort sets the source port of TCP or UDP; anything else is refused.
func SetSrcPort(b []byte, h *Headers, port uint16) Edited { return h.setPort(b, 0, port) }

// SetDstPort sets the destination port of TCP or UDP; anything else is refused.
func SetDstPort(b []byte, h *Headers, port uint16) Edited { return h.setPort(b, 2, port) }

func (h *Headers) setPort(b []byte, at uint32, port uint16) Edited {
	if h.Transport != TCP && h.Transport != UDP {
		return EditRefused
	}
	h.updateTransport(b, setWord(b[h.TransportOff+at:], port))
	return EditDone
}

// SetEchoID sets the identifier of an ICMP or ICMPv6 echo, which a translator maps as it does ports (RFC 3022 2.2); anything
// else is refused.
func SetEchoID(b []byte, h *Headers, id uint16) Edited {
	if h.Transport != ICMP && h.Transport != ICMPv6 {
		return EditRefused
	}
	if _, ok := echoID(h.Transport, b[h.TransportOff:]); !ok {
		return EditRefused
	}
	h.updateTransport(b, setWord(b[h.TransportOff+4:], id))
	return EditDone
}

// setWord stores a word and returns what that does to a sum.
func setWord(field []byte, v uint16) (by uint16) {
	repl := bits.ReverseBytes16(v)
	by = fold32(uint32(^words.Uint16(field)) + uint32(repl))
	words.PutUint16(field, repl)
	return by
}

// updateTransport applies a change to the transport checksum.
func (h *Headers) updateTransport(b []byte, by uint16) {
	field := b[h.TransportOff+uint32(sumOffsets[h.Transport]):]
	old := words.Uint16(field)
	sum := updated(old, by)
	if h.Transport == UDP && old == 0 {
		return
	}
	if words.PutUint16(field, sum); sum == 0 {
		h.avoidZero(b, field)
	}
}

// avoidZero replaces a checksum that was updated to 0 where the other zero of one's complement arithmetic is meant: in UDP, and
// in an ICMP message of nothing but zeros, which no receiver would take with the checksum 0.
func (h *Headers) avoidZero(b, field []byte) {
	if h.Transport == UDP || h.Transport == ICMP && Sum(b[h.TransportOff:h.Len], 0) == 0 {
		words.PutUint16(field, 0xffff)
	}
}

// updated is RFC 1624 equation 3 in the byte order of words: by is the folded sum of the complement of the old data and the new.
func updated(sum, by uint16) uint16 { return ^fold32(uint32(^sum) + uint32(by)) }

// SetTTL sets the TTL or hop limit. It reports false iff b is no IP packet.
func SetTTL(b []byte, h *Headers, ttl uint8) bool {
	switch h.Version {
	case 4:
		ip := (*IPv4Header)(b)
		by := fold32(uint32(^uint16(ip[ipv4TTL])) + uint32(ttl)) // the upper byte of a word, the lower one as words has it
		ip[ipv4TTL] = ttl
		words.PutUint16(ip[ipv4Sum:], updated(words.Uint16(ip[ipv4Sum:]), by))
		return true
	case 6:
		b[ipv6HopLimit] = ttl
		return true
	}
	return false
}

// TTL returns the TTL or hop limit, 0 iff b is no IP packet or that is it.
func TTL(b []byte, h *Headers) uint8 {
	switch h.Version {
	case 4:
		return b[ipv4TTL]
	case 6:
		return b[ipv6HopLimit]
	}
	return 0
}

// DecrementTTL lowers the TTL or hop limit by one, as WinDivertHelperDecrementTTL does: it reports false and changes nothing if
// that is 1 or 0 already, or if b is no IP packet.
func DecrementTTL(b []byte, h *Headers) bool {
	ttl := TTL(b, h)
	return ttl > 1 && SetTTL(b, h, ttl-1)
}
