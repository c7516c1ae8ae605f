package craft

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// ErrNoError: no ICMP error may be sent about the packet.
var ErrNoError = errors.New("no ICMP error may be sent about this packet")

// Why a packet is not delivered, for Unreachable.
type Why uint8

// The reasons, with their codes in ICMP and ICMPv6 (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1).
const (
	NoRoute         Why = iota // 0, 0
	HostUnreachable            // 1, 3
	PortUnreachable            // 3, 4
	Prohibited                 // 13, 1: by policy
	whyEnd
)

var whyCodes = [whyEnd]struct{ v4, v6 uint8 }{NoRoute: {0, 0}, HostUnreachable: {1, 3}, PortUnreachable: {wire.ICMPPortUnreachable, wire.ICMPv6PortUnreachable}, Prohibited: {13, 1}}

// The least MTU of a link, which the error must not exceed: then it arrives whole (RFC 1812 4.3.2.3, RFC 4443 2.4 c).
const (
	errorMax4 = 576
	errorMax6 = 1280
)

// tosError is the precedence of an ICMP error over IPv4: internetwork control (RFC 1812 4.3.2.5).
const tosError = 0xc0

// Unreachable builds the ICMP or ICMPv6 error that tells the sender of pkt why it is not delivered. from is who says so; the
// zero Addr means the destination itself.
//
// The error quotes as much of the packet as fits into the least MTU. ErrNoError, as RFC 1122 3.2.2, RFC 1812 4.3.2.7 and RFC
// 4443 2.4 e have it: the packet is an ICMP error itself, a later fragment, sent to many, or not from one host.
func Unreachable(pkt []byte, h *wire.Headers, from netip.Addr, why Why) ([]byte, error) {
	if why >= whyEnd {
		return nil, fmt.Errorf("craft: no reason %d", why)
	}
	codes := whyCodes[why]
	return icmpError(pkt, h, from, message{wire.ICMPUnreachable, codes.v4, 0}, message{wire.ICMPv6Unreachable, codes.v6, 0})
}

// TooBig builds the ICMP Fragmentation Needed (RFC 1191) or ICMPv6 Packet Too Big that tells the sender of pkt the MTU, in bytes
// with the IP header. The rest is as in Unreachable, but in IPv6 packets to many are answered too (RFC 4443 2.4 e.3).
func TooBig(pkt []byte, h *wire.Headers, from netip.Addr, mtu int) ([]byte, error) {
	mtu = min(max(mtu, 0), 0xffff)
	return icmpError(pkt, h, from, message{wire.ICMPUnreachable, wire.ICMPFragNeeded, uint32(mtu)}, message{wire.ICMPv6PacketTooBig, 0, uint32(mtu)})
}

// TimeExceeded builds the error that tells the sender of pkt that its hop limit was used up. The rest is as in Unreachable.
func TimeExceeded(pkt []byte, h *wire.Headers, from netip.Addr) ([]byte, error) {
	return icmpError(pkt, h, from, message{typ: wire.ICMPTimeExceeded}, message{typ: wire.ICMPv6TimeExceeded})
}

// message is the fixed part of an ICMP error.
type message struct {
	typ, code uint8
	body      uint32
}

func icmpError(pkt []byte, h *wire.Headers, from netip.Addr, v4, v6 message) ([]byte, error) {
	m, proto, most := v4, uint8(wire.ProtoICMP), errorMax4-wire.IPv4HeaderLen
	if h.Version == 6 {
		m, proto, most = v6, wire.ProtoICMPv6, errorMax6-wire.IPv6HeaderLen
	}
	if !mayAnswer(pkt, h, m.typ == wire.ICMPv6PacketTooBig && h.Version == 6) {
		return nil, ErrNoError
	}
	src, dst := ends(pkt, h)
	if !from.IsValid() {
		from = dst
	}
	quoted := pkt[:min(int(h.Len), most-wire.ICMPHeaderLen)]
	out, rest, err := ip(from, src, proto, wire.ICMPHeaderLen+len(quoted))
	if err != nil {
		return nil, err
	}
	if h.Version == 4 {
		(*wire.IPv4Header)(out).SetTOS(tosError)
	}
	icmp := (*wire.ICMPHeader)(rest)
	icmp.SetType(m.typ)
	icmp.SetCode(m.code)
	icmp.SetBody(m.body)
	copy(rest[wire.ICMPHeaderLen:], quoted)
	return finish(out), nil
}

// mayAnswer says whether an ICMP error about the packet is allowed.
func mayAnswer(pkt []byte, h *wire.Headers, toMany bool) bool {
	if h.Version == 0 || h.Fragment && h.FragOff != 0 || isICMPError(pkt, h) {
		return false
	}
	src, dst := ends(pkt, h)
	return single(src) && (single(dst) || toMany && dst.IsMulticast())
}

// single says that an address names one host.
func single(a netip.Addr) bool {
	broadcast := a.Is4() && a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return !a.IsUnspecified() && !a.IsMulticast() && !broadcast
}

// isICMPError: ICMP messages that may not be asked about are errors, and in ICMPv6 redirects (RFC 1812 4.3.1, RFC 4443 2.4 e). One
// whose type is cut off might be an error.
func isICMPError(pkt []byte, h *wire.Headers) bool {
	switch h.Transport {
	case wire.ICMP:
		return h.ICMPError(pkt)
	case wire.ICMPv6:
		return h.ICMPError(pkt) || h.ICMPv6(pkt).Type() == wire.ICMPv6Redirect
	}
	return h.Version == 4 && h.Proto == wire.ProtoICMP || h.Version == 6 && h.Proto == wire.ProtoICMPv6
}
