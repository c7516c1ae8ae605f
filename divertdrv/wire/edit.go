package wire

import (
	"encoding/binary"
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
// length of the packet. A checksum that was wrong stays wrong by as much. A UDP checksum of 0 stays 0, which says that there
// is none; one that becomes 0 is stored as 0xffff (RFC 768). Packets that an ICMP error quotes are left alone. h stays valid.

// SetSrcAddr sets the source address. It is refused unless a is of the packet's IP version; IPv4 may be mapped into IPv6.
func SetSrcAddr(b []byte, h *Headers, a netip.Addr) Edited {
	switch h.Version {
	case 4:
		return h.setIPv4Addr(b, ipv4Src, a)
	case 6:
		return h.setIPv6Addr(b, ipv6Src, a)
	}
	return EditRefused
}

// SetDstAddr sets the destination address as SetSrcAddr does. While a Routing header has segments left this is the next
// destination, which no checksum covers; behind one of unknown kind the outcome is EditSumElsewhere.
func SetDstAddr(b []byte, h *Headers, a netip.Addr) Edited {
	switch h.Version {
	case 4:
		return h.setIPv4Addr(b, ipv4Dst, a)
	case 6:
		return h.setIPv6Addr(b, ipv6Dst, a)
	}
	return EditRefused
}

func (h *Headers) setIPv4Addr(b []byte, at int, a netip.Addr) Edited {
	field := b[at : at+4]
	old := words.Uint32(field)
	if !putIPv4(field, a) {
		return EditRefused
	}
	change := uint64(^old) + uint64(words.Uint32(field))
	updateField(b[ipv4Sum:], change)
	return h.updatePseudo(b, change)
}

func (h *Headers) setIPv6Addr(b []byte, at int, a netip.Addr) Edited {
	field := (*[16]byte)(b[at:])
	old := *field
	if !putIPv6(field[:], a) {
		return EditRefused
	}
	if at == ipv6Dst {
		switch h.finalDst(b) {
		case 0:
			return EditSumElsewhere
		case ipv6Dst:
		default:
			return EditDone
		}
	}
	const complement = 4 * (1<<32 - 1) // four complemented words are their complements' sum
	return h.updatePseudo(b, complement-sum16(&old)+sum16(field))
}

// updatePseudo carries a change of an address into the transport checksum.
func (h *Headers) updatePseudo(b []byte, change uint64) Edited {
	switch {
	case h.Transport == ICMP:
		return EditDone
	case h.Transport != NoTransport:
		h.updateTransport(b, change)
		return EditDone
	case hasNoPseudoHeader(h.Proto, h.Version):
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
	h.setTransportWord(b, at, port)
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
	h.setTransportWord(b, 4, id)
	return EditDone
}

func (h *Headers) setTransportWord(b []byte, at uint32, v uint16) {
	field := b[h.TransportOff+at:]
	old := words.Uint16(field)
	binary.BigEndian.PutUint16(field, v)
	h.updateTransport(b, uint64(^old)+uint64(words.Uint16(field)))
}

// updateTransport applies a change to the transport checksum.
func (h *Headers) updateTransport(b []byte, change uint64) {
	field := b[h.TransportOff+uint32(sumOffsets[h.Transport]):]
	if h.Transport != UDP {
		updateField(field, change)
		return
	}
	if words.Uint16(field) == 0 {
		return
	}
	updateField(field, change)
	if words.Uint16(field) == 0 {
		words.PutUint16(field, 0xffff)
	}
}

// updateField is RFC 1624 equation 3 in place: change is the complement of the old data plus the new.
func updateField(field []byte, change uint64) {
	words.PutUint16(field, ^foldWords(uint64(^words.Uint16(field))+change))
}

// SetTTL sets the TTL or hop limit. It reports false iff b is no IP packet.
func SetTTL(b []byte, h *Headers, ttl uint8) bool {
	switch h.Version {
	case 4:
		old := uint16(b[ipv4TTL])
		b[ipv4TTL] = ttl
		updateField(b[ipv4Sum:], uint64(^old)+uint64(ttl))
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
