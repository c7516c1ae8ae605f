package frag

import (
	"github.com/weirnet/weir/divertdrv/wire"
)

// Segment cuts a TCP or UDP packet into packets with at most mss bytes of payload each, as a network card does with a packet
// that its host left whole (TSO, USO). Each has all headers and options, right lengths and right checksums, whatever the
// packet's own were; but over IPv4 a UDP checksum of 0, which means that there is none, stays 0.
//
// Sequence numbers and IPv4 identifications count up. PSH and FIN are on the last segment only. CWR is on the first only, as RFC
// 3168 6.1.2 has it; a packet with AE is of a connection with accurate ECN, for which these flags are a counter (RFC 9768
// 3.2.2), and keeps it on all. URG stays on segments that begin before the end of the urgent data, which its pointer counts from
// each.
//
// Errors: ErrNoSegments for anything else, fragments, TCP with SYN or RST, and what has a Routing header with segments left;
// ErrNoSegmentSize, ErrMalformed, and those of emit.
func (c *Cutter) Segment(pkt []byte, h *wire.Headers, mss int, emit func([]byte) error) error {
	switch {
	case !whole(pkt, h):
		return ErrMalformed
	case mss <= 0:
		return ErrNoSegmentSize
	case h.PayloadLen() <= mss:
		return emit(pkt[:h.Len])
	case !segmentable(pkt, h):
		return ErrNoSegments
	}
	b, head := c.buffer(), int(h.PayloadOff)
	copy(b, pkt[:head])
	payload := h.Payload(pkt)
	for at := 0; at < len(payload); at += mss {
		end := min(at+mss, len(payload))
		seg := b[:head+copy(b[head:], payload[at:end])]
		sealIP(seg, pkt, at/mss)
		if h.Transport == wire.TCP {
			sealTCP(h.TCP(seg), h.TCP(pkt), at, end == len(payload))
		} else {
			sealUDP(h, seg)
		}
		sum(seg, h)
		if err := emit(seg); err != nil {
			return err
		}
	}
	return nil
}

func segmentable(pkt []byte, h *wire.Headers) bool {
	switch {
	case h.Fragment || isRouted(pkt, h):
		return false
	case h.Transport == wire.TCP:
		return h.TCP(pkt).Flags()&(wire.SYN|wire.RST) == 0
	}
	return h.Transport == wire.UDP
}

// isRouted says that the destination in the IPv6 header is not the one that checksums cover.
func isRouted(pkt []byte, h *wire.Headers) bool {
	const segmentsLeft = 3 // offset in a Routing header
	for x := h.Extensions(pkt); ; {
		proto, header, ok := x.Next()
		if !ok {
			return false
		}
		if proto == wire.ProtoRouting && header[segmentsLeft] != 0 {
			return true
		}
	}
}

// sealIP makes the IP header of the segment with that number say how long it is, and which.
func sealIP(seg, pkt []byte, number int) {
	if seg[0]>>4 == 4 {
		ip := (*wire.IPv4Header)(seg)
		ip.SetLength(uint16(len(seg)))
		ip.SetID((*wire.IPv4Header)(pkt).ID() + uint16(number))
		return
	}
	(*wire.IPv6Header)(seg).SetPayloadLength(uint16(len(seg) - wire.IPv6HeaderLen))
}

// sealTCP makes the TCP header of the segment whose payload begins at that offset of that of was.
func sealTCP(t, was *wire.TCPHeader, at int, last bool) {
	flags := was.Flags()
	if !last {
		flags &^= wire.FIN | wire.PSH
	}
	if at > 0 && flags&wire.AE == 0 {
		flags &^= wire.CWR
	}
	urgent := was.Urgent() // counts from the segment's first byte
	if flags&wire.URG != 0 && at > 0 {
		if int(urgent) <= at {
			flags &^= wire.URG
			urgent = 0
		} else {
			urgent -= uint16(at)
		}
	}
	t.SetSeq(was.Seq() + uint32(at))
	t.SetFlags(flags)
	t.SetUrgent(urgent)
}

// sealUDP makes the UDP header say how long the message is, and that it has a checksum where it must have one (RFC 8200 8.1).
func sealUDP(h *wire.Headers, seg []byte) {
	u := h.UDP(seg)
	u.SetLength(uint16(len(seg) - int(h.TransportOff)))
	if h.Version == 6 && u.Checksum() == 0 {
		u.SetChecksum(0xffff)
	}
}

// sum stores the checksums of a segment of the packet with headers h.
func sum(seg []byte, h *wire.Headers) {
	own := *h
	own.Len, own.Total = uint32(len(seg)), uint32(len(seg))
	wire.Recompute(seg, &own, wire.AllSums, wire.Wrong{})
}
