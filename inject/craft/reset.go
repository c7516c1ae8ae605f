package craft

import (
	"errors"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// ErrNoReset: no RST can answer the packet: it is not TCP, is cut off, is a fragment, or is a RST itself.
var ErrNoReset = errors.New("no RST can answer this packet")

// ResetToSender builds the RST that closes a TCP segment's sender, as its peer's stack would send it (RFC 9293 3.10.7.1): with
// the sequence number that the segment acknowledges, or, where it acknowledges nothing, acknowledging all of the segment.
func ResetToSender(pkt []byte, h *wire.Headers) ([]byte, error) {
	t, err := segment(pkt, h)
	if err != nil {
		return nil, err
	}
	if t.Flags()&wire.ACK != 0 {
		return reset(pkt, h, true, Segment{Seq: t.Ack(), Flags: wire.RST}), nil
	}
	length := h.Total - h.PayloadOff
	for _, counts := range []wire.TCPFlags{wire.SYN, wire.FIN} {
		if t.Flags()&counts != 0 {
			length++
		}
	}
	return reset(pkt, h, true, Segment{Ack: t.Seq() + length, Flags: wire.RST | wire.ACK}), nil
}

// ResetToReceiver builds the RST that closes the segment's receiver, as if its sender had sent it in the segment's place.
func ResetToReceiver(pkt []byte, h *wire.Headers) ([]byte, error) {
	t, err := segment(pkt, h)
	if err != nil {
		return nil, err
	}
	s := Segment{Seq: t.Seq(), Flags: wire.RST | t.Flags()&wire.ACK}
	if s.Flags&wire.ACK != 0 {
		s.Ack = t.Ack()
	}
	return reset(pkt, h, false, s), nil
}

// segment returns the TCP header of a packet that may be answered with a RST.
func segment(pkt []byte, h *wire.Headers) (*wire.TCPHeader, error) {
	if h.Transport != wire.TCP || h.Fragment || h.Truncated || h.TCP(pkt).Flags()&wire.RST != 0 {
		return nil, ErrNoReset
	}
	return h.TCP(pkt), nil
}

// reset lays out a bare RST between the segment's ends, exchanged if it goes back.
func reset(pkt []byte, h *wire.Headers, back bool, s Segment) []byte {
	src, dst := ends(pkt, h)
	t := h.TCP(pkt)
	from, to := netip.AddrPortFrom(src, t.SrcPort()), netip.AddrPortFrom(dst, t.DstPort())
	if back {
		from, to = to, from
	}
	out, err := TCP(from, to, s, nil)
	if err != nil {
		panic(err) // both addresses are of one header, and nothing is long
	}
	return out
}
