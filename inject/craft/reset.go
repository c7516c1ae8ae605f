package craft

import (
	"encoding/binary"
	"errors"

	"github.com/weirnet/weir/divertdrv/wire"
)

// ErrNoReset: no RST can answer the packet: it is not TCP, is cut off, is a fragment, or is a RST itself.
var ErrNoReset = errors.New("no RST can answer this packet")

const (
	resetHopLimit = 64
	flagFIN       = 0x01
	flagSYN       = 0x02
	flagRST       = 0x04
	flagACK       = 0x10
)

// ResetToSender builds the RST that closes a TCP segment's sender, as its peer's stack would send it (RFC 9293 3.10.7.1): with
// the sequence number that the segment acknowledges, or, where it acknowledges nothing, acknowledging all of the segment.
func ResetToSender(pkt []byte, h *wire.Headers) ([]byte, error) {
	tcp, err := segment(pkt, h)
	if err != nil {
		return nil, err
	}
	seq, ack, flags := binary.BigEndian.Uint32(tcp[8:]), uint32(0), uint8(flagRST)
	if tcp[13]&flagACK == 0 {
		length := h.Total - h.PayloadOff + uint32(tcp[13]&flagSYN>>1) + uint32(tcp[13]&flagFIN)
		seq, ack = 0, binary.BigEndian.Uint32(tcp[4:])+length
		flags |= flagACK
	}
	return reset(pkt, h, true, seq, ack, flags), nil
}

// ResetToReceiver builds the RST that closes the segment's receiver, as if its sender had sent it in the segment's place.
func ResetToReceiver(pkt []byte, h *wire.Headers) ([]byte, error) {
	tcp, err := segment(pkt, h)
	if err != nil {
		return nil, err
	}
	seq, ack := binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:])
	flags := flagRST | tcp[13]&flagACK
	if flags&flagACK == 0 {
		ack = 0
	}
	return reset(pkt, h, false, seq, ack, flags), nil
}

// segment returns the fixed TCP header of a packet that may be answered with a RST.
func segment(pkt []byte, h *wire.Headers) ([]byte, error) {
	if h.Transport != wire.TCP || h.Fragment || h.Truncated {
		return nil, ErrNoReset
	}
	tcp := pkt[h.TransportOff:][:wire.TCPHeaderLen]
	if tcp[13]&flagRST != 0 {
		return nil, ErrNoReset
	}
	return tcp, nil
}

// reset lays out a bare RST between the segment's ends, swapped if it goes back.
func reset(pkt []byte, h *wire.Headers, back bool, seq, ack uint32, flags uint8) []byte {
	out := ipHeader(pkt, h, back)
	tcp := out[len(out)-wire.TCPHeaderLen:]
	copy(tcp, pkt[h.TransportOff:][:4])
	if back {
		tcp[0], tcp[1], tcp[2], tcp[3] = tcp[2], tcp[3], tcp[0], tcp[1]
	}
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = wire.TCPHeaderLen/4<<4, flags
	wire.CalcChecksums(out, 0)
	return out
}

// ipHeader returns an IP header without options, with room for a bare TCP header behind it.
func ipHeader(pkt []byte, h *wire.Headers, back bool) []byte {
	if h.Version == 6 {
		out := make([]byte, wire.IPv6HeaderLen+wire.TCPHeaderLen)
		out[0] = 6 << 4
		binary.BigEndian.PutUint16(out[4:], wire.TCPHeaderLen)
		out[6], out[7] = wire.ProtoTCP, resetHopLimit
		copyEnds(out[8:40], pkt[8:40], back)
		return out
	}
	out := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	out[0] = 4<<4 | wire.IPv4HeaderLen/4
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	out[6] = 0x40 // DF: nothing to fragment, and so no need of an identification (RFC 6864)
	out[8], out[9] = resetHopLimit, wire.ProtoTCP
	copyEnds(out[12:20], pkt[12:20], back)
	return out
}

// copyEnds copies source and destination address, exchanged if the packet goes back.
func copyEnds(dst, src []byte, back bool) {
	half := len(src) / 2
	if back {
		copy(dst[:half], src[half:])
		copy(dst[half:], src[:half])
		return
	}
	copy(dst, src)
}
