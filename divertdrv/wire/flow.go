package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Endpoint is one side of a flow: an address as two big-endian words (IPv4 as ::ffff:a.b.c.d) and a port in host order.
type Endpoint struct {
	Hi, Lo uint64
	Port   uint16 // ICMP echo: the identifier; 0 where there is none
}

const mappedIPv4 = 0xffff << 32 // ::ffff:0:0/96, the lower word

// EndpointFrom returns the endpoint of an address, whose zone is ignored, and a port.
func EndpointFrom(ap netip.AddrPort) Endpoint {
	b := ap.Addr().As16()
	return Endpoint{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:]), Port: ap.Port()}
}

// Addr returns the address, IPv4 unmapped.
func (e Endpoint) Addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], e.Hi)
	binary.BigEndian.PutUint64(b[8:], e.Lo)
	return netip.AddrFrom16(b).Unmap()
}

// FlowKey names a flow: the same value for both directions, comparable, usable as a map key, 40 bytes without padding. Low is
// the smaller endpoint. The zero value names no flow.
type FlowKey struct {
	lowHi, lowLo, highHi, highLo uint64
	rest                         uint64 // port of low, port of high, 16 bits each; 16 bits of 0; protocol; version
}

// Set makes k the key of the flow between two endpoints and reports whether src is the High one. Version is 4 or 6.
func (k *FlowKey) Set(src, dst Endpoint, proto, version uint8) (srcHigh bool) {
	// Packets of both directions come mixed, so a branch on their order would be mispredicted: the swap is done by a mask.
	_, less := bits.Sub64(uint64(dst.Port), uint64(src.Port), 0)
	_, less = bits.Sub64(dst.Lo, src.Lo, less)
	_, less = bits.Sub64(dst.Hi, src.Hi, less)
	swap := -less
	hi, lo, port := (src.Hi^dst.Hi)&swap, (src.Lo^dst.Lo)&swap, (src.Port^dst.Port)&uint16(swap)
	k.lowHi, k.lowLo, k.highHi, k.highLo = src.Hi^hi, src.Lo^lo, dst.Hi^hi, dst.Lo^lo
	k.rest = uint64(src.Port^port)<<48 | uint64(dst.Port^port)<<32 | uint64(proto)<<8 | uint64(version)
	return less != 0
}

// Is says whether two keys are the same, as == does, without the call that the compiler makes of it.
func (k *FlowKey) Is(other *FlowKey) bool {
	return (k.lowHi^other.lowHi)|(k.lowLo^other.lowLo)|(k.highHi^other.highHi)|(k.highLo^other.highLo)|(k.rest^other.rest) == 0
}

// Low is the smaller endpoint.
func (k FlowKey) Low() Endpoint { return Endpoint{k.lowHi, k.lowLo, uint16(k.rest >> 48)} }

// High is the other endpoint; equal to Low where a host talks to itself from one port.
func (k FlowKey) High() Endpoint { return Endpoint{k.highHi, k.highLo, uint16(k.rest >> 32)} }

// Proto is the protocol number behind extension headers.
func (k FlowKey) Proto() uint8 { return uint8(k.rest >> 8) }

// Version is 4 or 6; 0 in the zero value.
func (k FlowKey) Version() uint8 { return uint8(k.rest) }

// Flow returns the key of the packet's flow and whether its source is the High endpoint. A packet without a transport header
// (unknown protocol, later fragment) has ports 0. ok is false iff h.Version is 0.
func (h *Headers) Flow(b []byte) (k FlowKey, srcHigh, ok bool) {
	srcHigh, ok = h.ReadFlow(b, &k)
	return k, srcHigh, ok
}

// ReadFlow is Flow that writes the key to where it stays, several times as fast: a key is too large to be returned in registers
// alone, and copying it waits for the stores before. If ok is false k is unchanged.
func (h *Headers) ReadFlow(b []byte, k *FlowKey) (srcHigh, ok bool) {
	src, dst, ok := h.Endpoints(b)
	if !ok {
		return false, false
	}
	return k.Set(src, dst, h.Proto, h.Version), true
}

// Endpoints returns source and destination of the packet; ok is false iff h.Version is 0.
func (h *Headers) Endpoints(b []byte) (src, dst Endpoint, ok bool) {
	switch h.Version {
	case 4:
		ip := (*[IPv4HeaderLen]byte)(b)
		src.Lo = mappedIPv4 | uint64(binary.BigEndian.Uint32(ip[ipv4Src:]))
		dst.Lo = mappedIPv4 | uint64(binary.BigEndian.Uint32(ip[ipv4Dst:]))
	case 6:
		ip := (*[IPv6HeaderLen]byte)(b)
		src.Hi, src.Lo = binary.BigEndian.Uint64(ip[ipv6Src:]), binary.BigEndian.Uint64(ip[ipv6Src+8:])
		dst.Hi, dst.Lo = binary.BigEndian.Uint64(ip[ipv6Dst:]), binary.BigEndian.Uint64(ip[ipv6Dst+8:])
	default:
		return src, dst, false
	}
	switch h.Transport {
	case TCP, UDP:
		ports := binary.BigEndian.Uint32(b[h.TransportOff:])
		src.Port, dst.Port = uint16(ports>>16), uint16(ports)
	case ICMP, ICMPv6:
		if id, ok := echoID(h.Transport, b[h.TransportOff:]); ok {
			src.Port, dst.Port = id, id
		}
	}
	return src, dst, true
}

// echoID returns the identifier of an echo request or reply (RFC 792, RFC 4443 4), which tells one ping from another.
func echoID(t Transport, icmp []byte) (uint16, bool) {
	typ := icmp[0]
	if t == ICMP && (typ == ICMPEchoReply || typ == ICMPEcho) ||
		t == ICMPv6 && (typ == ICMPv6Echo || typ == ICMPv6EchoReply) {
		return binary.BigEndian.Uint16(icmp[4:]), true
	}
	return 0, false
}

// Hash mixes the key with seed. Equal for both directions. Give each process its own random seed where the peer chooses
// ports, or it chooses the bucket too.
func (k FlowKey) Hash(seed uint64) uint64 {
	const m1, m2, m3, m4 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0xe7037ed1a0b428db
	// The seed is in each factor: a factor that is known can be made 0 by choice of an address, and hides the other one.
	turned := bits.RotateLeft64(seed, 32)
	a := mix(k.lowHi^seed^m1, k.lowLo^turned^m2)
	b := mix(k.highHi^turned^m3, k.highLo^seed^m4)
	return mix(a^k.rest^turned^m1, b^seed^m2)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
