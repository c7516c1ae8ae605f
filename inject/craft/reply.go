package craft

import (
	"errors"

	"github.com/weirnet/weir/divertdrv/wire"
)

// ErrNoReply: the packet cannot be sent back by exchanging its ends.
var ErrNoReply = errors.New("no reply can be made of this packet: it is a fragment, cut off, has a Routing header, or is an ICMP message other than an echo request")

// Reply makes the packet its own answer, in place: addresses and ports change sides, an echo request becomes the reply, and the
// hop limit starts anew. All checksums follow by RFC 1624, so what was wrong stays wrong. Payload, sequence numbers, options and
// flags are as they were; whoever answers TCP sets them.
//
// It allocates nothing. ErrNoReply: the packet is unchanged.
func Reply(pkt []byte, h *wire.Headers) error {
	if !repliable(pkt, h) {
		return ErrNoReply
	}
	src, dst := ends(pkt, h)
	swapped := 12 // of the IP header
	size := 4
	if h.Version == 6 {
		swapped, size = 8, 16
	}
	copy(pkt[swapped:], dst.AsSlice())
	copy(pkt[swapped+size:], src.AsSlice()) // one's complement sums do not mind the order
	switch t := pkt[h.TransportOff:]; h.Transport {
	case wire.TCP, wire.UDP:
		t[0], t[1], t[2], t[3] = t[2], t[3], t[0], t[1]
	case wire.ICMP, wire.ICMPv6:
		retype(pkt, h, (*wire.ICMPHeader)(t))
	}
	wire.SetTTL(pkt, h, hopLimit)
	return nil
}

func repliable(pkt []byte, h *wire.Headers) bool {
	if h.Version == 0 || h.Fragment || h.Truncated {
		return false
	}
	for x := h.Extensions(pkt); ; {
		proto, _, ok := x.Next()
		if !ok {
			break
		}
		if proto == wire.ProtoRouting {
			return false
		}
	}
	switch h.Transport {
	case wire.ICMP:
		return h.ICMP(pkt).Type() == wire.ICMPEcho
	case wire.ICMPv6:
		return h.ICMPv6(pkt).Type() == wire.ICMPv6Echo
	}
	return true
}

func retype(pkt []byte, h *wire.Headers, m *wire.ICMPHeader) {
	wrong := wire.Judge(pkt, h)
	wrong.IP = 0
	m.SetType(wire.ICMPEchoReply)
	if h.Transport == wire.ICMPv6 {
		m.SetType(wire.ICMPv6EchoReply)
	}
	wire.Recompute(pkt, h, wire.ICMPSum|wire.ICMPv6Sum, wrong)
}
