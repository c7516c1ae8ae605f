package wire

import "encoding/binary"

// UDPHeader is the UDP header in place (RFC 768); it belongs to whoever owns the packet. Setters leave the checksum as it was:
// see Recompute, or SetSrcPort and its like, which repair it.
type UDPHeader [UDPHeaderLen]byte

const udpSum = 6

// UDP returns the packet's UDP header, nil iff h.Transport is not UDP.
func (h *Headers) UDP(b []byte) *UDPHeader {
	if h.Transport != UDP {
		return nil
	}
	return (*UDPHeader)(b[h.TransportOff:])
}

// SrcPort is the source port.
func (u *UDPHeader) SrcPort() uint16 { return binary.BigEndian.Uint16(u[0:]) }

// SetSrcPort sets the source port.
func (u *UDPHeader) SetSrcPort(v uint16) { binary.BigEndian.PutUint16(u[0:], v) }

// DstPort is the destination port.
func (u *UDPHeader) DstPort() uint16 { return binary.BigEndian.Uint16(u[2:]) }

// SetDstPort sets the destination port.
func (u *UDPHeader) SetDstPort(v uint16) { binary.BigEndian.PutUint16(u[2:], v) }

// Length is the length of header and payload in bytes by the header's own word. It need not agree with the IP length: it may
// be less (RFC 9868 puts options behind it) or, in a damaged packet, anything.
func (u *UDPHeader) Length() uint16 { return binary.BigEndian.Uint16(u[4:]) }

// SetLength sets the length of header and payload in bytes.
func (u *UDPHeader) SetLength(v uint16) { binary.BigEndian.PutUint16(u[4:], v) }

// Checksum is the checksum over pseudo header, header and payload; 0: there is none.
func (u *UDPHeader) Checksum() uint16 { return binary.BigEndian.Uint16(u[udpSum:]) }

// SetChecksum sets the checksum; a computed 0 is to be given as 0xffff.
func (u *UDPHeader) SetChecksum(v uint16) { binary.BigEndian.PutUint16(u[udpSum:], v) }
