package wire

// Types of the Routing header whose final destination is known here; bytes 2 and 3 are type and segments left.
const (
	routingSource   = 0 // RFC 2460 4.4, deprecated by RFC 5095
	routingMobility = 2 // RFC 6275 6.4
	routingSegments = 4 // RFC 8754 2

	routingFixedLen = 8
	ipv6AddrLen     = 16
)

// finalDst is the offset of the address that stands for the destination in the pseudo header of an IPv6 packet: that of the IP
// header, or the last one of a Routing header with segments left (RFC 8200 8.1). 0: the kind of Routing header is unknown.
func (h *Headers) finalDst(b []byte) uint32 {
	if h.TransportOff == IPv6HeaderLen {
		return ipv6Dst
	}
	dst, at := uint32(ipv6Dst), uint32(IPv6HeaderLen)
	for x := h.Extensions(b); ; {
		proto, header, ok := x.Next()
		if !ok {
			return dst
		}
		if proto == ProtoRouting && header[3] != 0 {
			in := lastSegment(header)
			if in == 0 {
				return 0
			}
			dst = at + in
		}
		at += uint32(len(header))
	}
}

// lastSegment is the offset of the final destination in a Routing header; 0: unknown.
func lastSegment(header []byte) uint32 {
	if len(header) < routingFixedLen+ipv6AddrLen {
		return 0
	}
	switch header[2] {
	case routingSegments: // listed backwards
		return routingFixedLen
	case routingSource, routingMobility:
		addresses := (len(header) - routingFixedLen) / ipv6AddrLen
		return uint32(routingFixedLen + (addresses-1)*ipv6AddrLen)
	}
	return 0
}
