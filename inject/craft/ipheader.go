package craft

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// ErrAddresses: source and destination are not two addresses of one IP version.
var ErrAddresses = errors.New("source and destination must be addresses of the same IP version")

// ErrTooLong: the payload does not fit into one IP packet.
var ErrTooLong = errors.New("payload does not fit into one IP packet")

// hopLimit is the TTL or hop limit of what is built here (IANA: the recommended default).
const hopLimit = 64

// ip lays out an IP header without options and returns the packet with room for length bytes behind it, and that room. DF is set
// in IPv4: a packet that must not be fragmented needs no identification (RFC 6864 4.1). ::ffff:a.b.c.d counts as IPv6.
func ip(src, dst netip.Addr, proto uint8, length int) (pkt, rest []byte, err error) {
	if !src.IsValid() || src.Is4() != dst.Is4() || !dst.IsValid() {
		return nil, nil, ErrAddresses
	}
	if src.Is4() {
		if length > 0xffff-wire.IPv4HeaderLen {
			return nil, nil, ErrTooLong
		}
		pkt = make([]byte, wire.IPv4HeaderLen+length)
		v4 := (*wire.IPv4Header)(pkt)
		v4.SetHeaderLen(wire.IPv4HeaderLen)
		v4.SetLength(uint16(len(pkt)))
		v4.SetDF(true)
		v4.SetTTL(hopLimit)
		v4.SetProtocol(proto)
		v4.SetSrc(src)
		v4.SetDst(dst)
		return pkt, pkt[wire.IPv4HeaderLen:], nil
	}
	if length > 0xffff {
		return nil, nil, ErrTooLong
	}
	pkt = make([]byte, wire.IPv6HeaderLen+length)
	v6 := (*wire.IPv6Header)(pkt)
	v6.SetVersion()
	v6.SetPayloadLength(uint16(length))
	v6.SetNextHeader(proto)
	v6.SetHopLimit(hopLimit)
	v6.SetSrc(src)
	v6.SetDst(dst)
	return pkt, pkt[wire.IPv6HeaderLen:], nil
}

// finish computes the checksums.
func finish(pkt []byte) []byte {
	wire.CalcChecksums(pkt, 0)
	return pkt
}

// ends are the addresses in the IP header; h.Version is not 0.
func ends(pkt []byte, h *wire.Headers) (src, dst netip.Addr) {
	if h.Version == 4 {
		return h.IPv4(pkt).Src(), h.IPv4(pkt).Dst()
	}
	return h.IPv6(pkt).Src(), h.IPv6(pkt).Dst()
}

func putPorts(header []byte, src, dst uint16) {
	binary.BigEndian.PutUint16(header, src)
	binary.BigEndian.PutUint16(header[2:], dst)
}
