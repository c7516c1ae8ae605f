package frag

import (
	"github.com/weirnet/weir/divertdrv/wire"
)

const (
	congestionExperienced = 3 // the ECN code point
	wholeLen              = wire.MaxPacketLen + wire.FragmentLen
)

// join builds the whole packet from p, is done with p, and gives all tokens back but that of last, which is the caller's. The
// headers are the first fragment's.
func (r *Reassembler) join(p *packet, last *piece) Result {
	if p.ecn&congested != 0 && p.ecn&notECT != 0 {
		r.condemn(p, MixedECN, last)
		return Result{Outcome: MixedECN}
	}
	b := r.buffer()
	n := p.first.read(b)
	head := openHeaders(b[:n])
	for at := p.first.next; at != nil; at = at.next {
		at.read(b[head+at.off:])
	}
	res := Result{Outcome: Joined, Whole: b[:head+p.total], Pieces: p.pieces, Largest: int(p.largest)}
	sealHeaders(res.Whole, head, p.ecn&congested != 0)
	r.forget(p, Joined, last)
	return res
}

// joinAtomic makes a whole of the one fragment that it came in. Others with the same identification have nothing to do with it
// (RFC 6946).
func (r *Reassembler) joinAtomic(f *fragment) Result {
	b := r.buffer()
	head := openHeaders(b[:copy(b, f.bytes)])
	whole := b[:head+f.end]
	sealHeaders(whole, head, false)
	return Result{Outcome: Joined, Whole: whole, Pieces: 1, Largest: len(f.bytes)}
}

func (r *Reassembler) buffer() []byte {
	if r.whole == nil {
		r.whole = make([]byte, wholeLen)
	}
	return r.whole
}

// openHeaders takes what makes a fragment of a first fragment out of its headers, moving the data up, and returns where the data
// begins then. IPv6 keeps what precedes the Fragment header, whose Next Header passes to the header before it (RFC 8200 4.5).
func openHeaders(b []byte) (head uint32) {
	var h wire.Headers
	wire.Parse(b, &h)
	if h.Version == 4 {
		ip := h.IPv4(b)
		ip.SetMF(false)
		ip.SetFragOff(0)
		return uint32(h.HeaderLen)
	}
	b[nextHeaderAt(b, &h, h.FragHeader)] = h.FragmentHeaderOf(b).NextHeader()
	copy(b[h.FragHeader:], b[h.FragHeader+wire.FragmentLen:])
	return h.FragHeader
}

// sealHeaders makes the headers say how long the whole is, and that some piece of it met congestion (RFC 3168 5.3).
func sealHeaders(whole []byte, head uint32, congested bool) {
	if whole[0]>>4 == 4 {
		ip := (*wire.IPv4Header)(whole)
		ip.SetLength(uint16(len(whole)))
		if congested {
			ip.SetTOS(ip.TOS() | congestionExperienced)
		}
		sumIPv4(whole[:head])
		return
	}
	ip := (*wire.IPv6Header)(whole)
	ip.SetPayloadLength(uint16(len(whole) - wire.IPv6HeaderLen))
	if congested {
		ip.SetTrafficClass(ip.TrafficClass() | congestionExperienced)
	}
}

// sumIPv4 stores the right checksum of an IPv4 header with its options.
func sumIPv4(header []byte) {
	ip := (*wire.IPv4Header)(header)
	ip.SetChecksum(0)
	ip.SetChecksum(wire.Checksum(header))
}

// nextHeaderAt is the offset of the field that says what follows the last header before end, where one of them ends.
func nextHeaderAt(b []byte, h *wire.Headers, end uint32) (at uint32) {
	const inIPv6Header = 6
	at = inIPv6Header
	for x, from := h.Extensions(b), uint32(wire.IPv6HeaderLen); ; {
		_, header, ok := x.Next()
		if !ok || from >= end {
			return at
		}
		at = from
		from += uint32(len(header))
	}
}

// tellTimeExceeded shows the first fragment of p to whoever answers, if it came.
func (r *Reassembler) tellTimeExceeded(p *packet) {
	if r.cfg.TimeExceeded == nil || p.first == nil || p.first.off != 0 {
		return
	}
	b := r.buffer()
	r.cfg.TimeExceeded(b[:p.first.read(b)])
}
