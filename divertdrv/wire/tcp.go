package wire

import "encoding/binary"

// TCPHeader is the fixed TCP header in place (RFC 9293 3.1); it belongs to whoever owns the packet. Setters leave the checksum as
// it was: see Recompute, or SetSrcPort and its like, which repair it.
type TCPHeader [TCPHeaderLen]byte

// TCPFlags are the control bits with the reserved bits above them, 12 bits.
type TCPFlags uint16

// The control bits (RFC 9293 3.1; AE: RFC 9768).
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE // formerly NS
)

const (
	tcpSum      = 16
	tcpFlagMask = 0xfff
)

// TCP returns the packet's TCP header, nil iff h.Transport is not TCP.
func (h *Headers) TCP(b []byte) *TCPHeader {
	if h.Transport != TCP {
		return nil
	}
	return (*TCPHeader)(b[h.TransportOff:])
}

// TCPOptions returns the options of a TCP packet as far as they are here, none for anything else.
func (h *Headers) TCPOptions(b []byte) Options {
	if h.Transport != TCP {
		return Options{}
	}
	return Options{rest: b[h.TransportOff+TCPHeaderLen : h.PayloadOff]}
}

// SrcPort is the source port.
func (t *TCPHeader) SrcPort() uint16 { return binary.BigEndian.Uint16(t[0:]) }

// SetSrcPort sets the source port.
func (t *TCPHeader) SetSrcPort(v uint16) { binary.BigEndian.PutUint16(t[0:], v) }

// DstPort is the destination port.
func (t *TCPHeader) DstPort() uint16 { return binary.BigEndian.Uint16(t[2:]) }

// SetDstPort sets the destination port.
func (t *TCPHeader) SetDstPort(v uint16) { binary.BigEndian.PutUint16(t[2:], v) }

// Seq is the sequence number.
func (t *TCPHeader) Seq() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// SetSeq sets the sequence number.
func (t *TCPHeader) SetSeq(v uint32) { binary.BigEndian.PutUint32(t[4:], v) }

// Ack is the acknowledgment number; it means something iff the flag ACK is set.
func (t *TCPHeader) Ack() uint32 { return binary.BigEndian.Uint32(t[8:]) }

// SetAck sets the acknowledgment number.
func (t *TCPHeader) SetAck(v uint32) { binary.BigEndian.PutUint32(t[8:], v) }

// HeaderLen is the length of the header with options in bytes by its own word, a multiple of 4; at least 20 in what Parse
// accepts, but it may exceed the packet: Headers.PayloadOff does not.
func (t *TCPHeader) HeaderLen() int { return int(t[12]>>4) * tcpWordLen }

// SetHeaderLen sets the header's length in bytes, 20..60, a multiple of 4.
func (t *TCPHeader) SetHeaderLen(n int) { t[12] = uint8(n/tcpWordLen)<<4 | t[12]&0xf }

// Flags are the control bits.
func (t *TCPHeader) Flags() TCPFlags { return TCPFlags(binary.BigEndian.Uint16(t[12:])) & tcpFlagMask }

// SetFlags sets all control bits at once.
func (t *TCPHeader) SetFlags(f TCPFlags) {
	old := binary.BigEndian.Uint16(t[12:])
	binary.BigEndian.PutUint16(t[12:], old&^tcpFlagMask|uint16(f)&tcpFlagMask)
}

// Window is the receive window, not scaled.
func (t *TCPHeader) Window() uint16 { return binary.BigEndian.Uint16(t[14:]) }

// SetWindow sets the receive window.
func (t *TCPHeader) SetWindow(v uint16) { binary.BigEndian.PutUint16(t[14:], v) }

// Checksum is the checksum over pseudo header, header and payload.
func (t *TCPHeader) Checksum() uint16 { return binary.BigEndian.Uint16(t[tcpSum:]) }

// SetChecksum sets the checksum.
func (t *TCPHeader) SetChecksum(v uint16) { binary.BigEndian.PutUint16(t[tcpSum:], v) }

// Urgent is the urgent pointer; it means something iff the flag URG is set.
func (t *TCPHeader) Urgent() uint16 { return binary.BigEndian.Uint16(t[18:]) }

// SetUrgent sets the urgent pointer.
func (t *TCPHeader) SetUrgent(v uint16) { binary.BigEndian.PutUint16(t[18:], v) }
