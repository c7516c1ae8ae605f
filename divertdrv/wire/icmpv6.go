package wire

// Types of ICMPv6 messages (RFC 4443, RFC 4861). Those below 128 are errors.
const (
	ICMPv6Unreachable       = 1
	ICMPv6PacketTooBig      = 2
	ICMPv6TimeExceeded      = 3
	ICMPv6Parameter         = 4
	ICMPv6Echo              = 128
	ICMPv6EchoReply         = 129
	ICMPv6RouterSolicit     = 133
	ICMPv6RouterAdvertise   = 134
	ICMPv6NeighborSolicit   = 135
	ICMPv6NeighborAdvertise = 136
	ICMPv6Redirect          = 137
)

// ICMPv6PortUnreachable is the code of an Unreachable message: nobody listens at the port (RFC 4443 3.1).
const ICMPv6PortUnreachable = 4

// ICMPv6 returns the packet's ICMPv6 header, nil iff h.Transport is not ICMPv6. Of a Packet Too Big message Body is the MTU.
func (h *Headers) ICMPv6(b []byte) *ICMPHeader {
	if h.Transport != ICMPv6 {
		return nil
	}
	return (*ICMPHeader)(b[h.TransportOff:])
}

// ICMPError says whether the packet is an ICMP or ICMPv6 error: a message about another packet (RFC 1122 3.2.2, RFC 4443 2.1).
func (h *Headers) ICMPError(b []byte) bool {
	switch h.Transport {
	case ICMP:
		switch h.ICMP(b).Type() {
		case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameter:
			return true
		}
	case ICMPv6:
		return h.ICMPv6(b).Type() < ICMPv6Echo
	}
	return false
}
