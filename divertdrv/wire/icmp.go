package wire

import "encoding/binary"

// ICMPHeader is the header of an ICMP or ICMPv6 message in place, with the four bytes that every message has behind it
// (RFC 792, RFC 4443 2.1); it belongs to whoever owns the packet. Setters leave the checksum as it was: see Recompute.
type ICMPHeader [ICMPHeaderLen]byte

// Types of ICMP messages (RFC 792).
const (
	ICMPEchoReply    = 0
	ICMPUnreachable  = 3
	ICMPSourceQuench = 4 // no longer sent (RFC 6633)
	ICMPRedirect     = 5
	ICMPEcho         = 8
	ICMPTimeExceeded = 11
	ICMPParameter    = 12
)

// Codes of Unreachable messages.
const (
	ICMPPortUnreachable = 3 // nobody listens at the port (RFC 792)
	ICMPFragNeeded      = 4 // with an MTU (RFC 1191)
)

const icmpSum = 2

// ICMP returns the packet's ICMP header, nil iff h.Transport is not ICMP.
func (h *Headers) ICMP(b []byte) *ICMPHeader {
	if h.Transport != ICMP {
		return nil
	}
	return (*ICMPHeader)(b[h.TransportOff:])
}

// Type is the message's type.
func (m *ICMPHeader) Type() uint8 { return m[0] }

// SetType sets the message's type.
func (m *ICMPHeader) SetType(v uint8) { m[0] = v }

// Code is the message's code.
func (m *ICMPHeader) Code() uint8 { return m[1] }

// SetCode sets the message's code.
func (m *ICMPHeader) SetCode(v uint8) { m[1] = v }

// Checksum is the checksum: of ICMP over the message, of ICMPv6 over a pseudo header too.
func (m *ICMPHeader) Checksum() uint16 { return binary.BigEndian.Uint16(m[icmpSum:]) }

// SetChecksum sets the checksum.
func (m *ICMPHeader) SetChecksum(v uint16) { binary.BigEndian.PutUint16(m[icmpSum:], v) }

// Body is the four bytes behind the checksum, whose meaning depends on the type.
func (m *ICMPHeader) Body() uint32 { return binary.BigEndian.Uint32(m[4:]) }

// SetBody sets the four bytes behind the checksum.
func (m *ICMPHeader) SetBody(v uint32) { binary.BigEndian.PutUint32(m[4:], v) }

// ID is the identifier of an echo request or reply.
func (m *ICMPHeader) ID() uint16 { return binary.BigEndian.Uint16(m[4:]) }

// SetID sets the identifier of an echo request or reply.
func (m *ICMPHeader) SetID(v uint16) { binary.BigEndian.PutUint16(m[4:], v) }

// Seq is the sequence number of an echo request or reply.
func (m *ICMPHeader) Seq() uint16 { return binary.BigEndian.Uint16(m[6:]) }

// SetSeq sets the sequence number of an echo request or reply.
func (m *ICMPHeader) SetSeq(v uint16) { binary.BigEndian.PutUint16(m[6:], v) }

// NextHopMTU is the MTU in bytes that an ICMP Unreachable with code ICMPFragNeeded tells; 0: the router does not say.
func (m *ICMPHeader) NextHopMTU() uint16 { return binary.BigEndian.Uint16(m[6:]) }

// SetNextHopMTU sets the MTU of an ICMP Unreachable with code ICMPFragNeeded.
func (m *ICMPHeader) SetNextHopMTU(v uint16) { binary.BigEndian.PutUint16(m[6:], v) }
