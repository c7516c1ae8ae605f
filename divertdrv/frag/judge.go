package frag

import (
	"github.com/weirnet/weir/divertdrv/wire"
)

// fragment is what judge found out about one; offsets and lengths are in bytes.
type fragment struct {
	bytes  []byte // from the IP header to the end by the IP length
	start  uint32 // of the data in bytes
	fixed  uint32 // what counts for the length of the whole besides the data: IPv4 header, IPv6 extension headers
	off    uint32 // of the data in the packet
	end    uint32 // off and the length of the data
	more   bool   // fragments follow
	atomic bool   // it is the whole packet (RFC 6946)
	ecn    uint8  // the bit of its ECN code point
}

func (f *fragment) data() []byte { return f.bytes[f.start:] }

const (
	maxTotal     = 0xffff // bytes that an IP header can tell: IPv4 all, IPv6 without its header
	fragmentUnit = 8      // bytes that offsets are counted in

	notECT, congested = 1 << 0, 1 << 3 // bits of the ECN code points 00 and 11
)

// judge looks at one fragment alone, with no memory of others: nothing that is wrong here says anything about the packet that it
// claims to be part of. Held means that nothing is wrong.
func judge(pkt []byte, h *wire.Headers) (fragment, Outcome) {
	if h.Truncated || len(pkt) < int(h.Len) {
		return fragment{}, Truncated
	}
	f := fragment{bytes: pkt[:h.Len], off: uint32(h.FragOff), more: h.MoreFrags}
	if h.Version == 4 {
		f.start = uint32(h.HeaderLen)
		f.fixed = f.start
		f.ecn = 1 << (h.IPv4(pkt).TOS() & 3)
	} else {
		f.start = h.FragHeader + wire.FragmentLen
		f.fixed = h.FragHeader - wire.IPv6HeaderLen
		f.ecn = 1 << (h.IPv6(pkt).TrafficClass() & 3)
		f.atomic = f.off == 0 && !f.more
	}
	n := h.Len - f.start
	f.end = f.off + n
	switch {
	case n == 0 && !f.atomic, f.more && n%fragmentUnit != 0:
		return f, BadLength
	case f.fixed+f.end > maxTotal:
		return f, TooLong
	}
	return f, judgeHeaders(pkt, h, &f)
}

// judgeHeaders refuses what hides the transport header from whoever looks at fragments one by one: one that is spread over
// several (RFC 1858 and, for IPv6, RFC 7112), and data that would be written over it (RFC 1858 4.2, RFC 3128). No link is so
// narrow that a sender needs to: IPv4 may count on 68 bytes (RFC 791 3.2), IPv6 on 1,280.
func judgeHeaders(pkt []byte, h *wire.Headers, f *fragment) Outcome {
	switch {
	case f.off != 0:
		if h.Proto == wire.ProtoTCP && f.off < wire.TCPHeaderLen {
			return CutHeader
		}
	case h.Version == 6 && h.Proto == wire.ProtoFragment:
		return Nested
	case f.atomic: // cut or not, it is all there is
	case chainEnd(pkt, h) > h.Len:
		return CutHeader
	}
	return Held
}

// chainEnd is the offset in the packet at which its headers end, the transport's included; behind h.Len if they are not all
// here. For IPv4 TCP options do not count, with which the headers may exceed 68 bytes.
func chainEnd(pkt []byte, h *wire.Headers) uint32 {
	end := h.TransportOff + minTransportLen(h)
	if h.Version == 6 && h.Transport == wire.TCP {
		end = h.TransportOff + uint32(h.TCP(pkt).HeaderLen())
	}
	return end
}

// minTransportLen is the length of the header that h.Proto stands for, without options.
func minTransportLen(h *wire.Headers) uint32 {
	switch h.Proto {
	case wire.ProtoTCP:
		return wire.TCPHeaderLen
	case wire.ProtoUDP, wire.ProtoESP:
		return wire.UDPHeaderLen
	case wire.ProtoICMP, wire.ProtoICMPv6:
		return wire.ICMPHeaderLen
	case wire.ProtoHopByHop, wire.ProtoRouting, wire.ProtoAH, wire.ProtoDestOpts, wire.ProtoMobility:
		if h.Version == 6 { // the walk ended at an extension header, which therefore is not whole
			return h.Len - h.TransportOff + 1
		}
	}
	return 0
}
