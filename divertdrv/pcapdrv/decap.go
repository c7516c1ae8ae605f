package pcapdrv

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv/wire"
)

// carried is what a frame carries: an IP packet and what its link header says of the way it went, or why there is none.
type carried struct {
	ip        []byte // cut to its IP length; nil: see why
	headers   wire.Headers
	direction Direction
	loopback  bool // the interface is the loopback interface
	why       Reason
	protocol  uint16 // valid iff why == NotIP: EtherType or PPP protocol, 0 where the link has neither
}

// decap takes the link header off. It never fails: what is no whole IP header makes the frame a bystander.
func decap(f *Frame) carried {
	c := carried{direction: f.Direction}
	payload, version, ok := c.link(f.Link, f.Data)
	if !ok {
		return c
	}
	if !wire.Parse(payload, &c.headers) || version != 0 && version != c.headers.Version || unsized(&c.headers, payload) {
		c.why = Malformed
		return c
	}
	c.ip = payload[:c.headers.Len:c.headers.Len]
	return c
}

// unsized says that an IPv6 header gives the length 0 although something follows: a jumbogram (RFC 2675) or a super-packet of
// the sender's hardware. To cut it there would lose what follows.
func unsized(h *wire.Headers, b []byte) bool {
	return h.Version == 6 && h.Total == wire.IPv6HeaderLen && len(b) > wire.IPv6HeaderLen && b[6] != wire.ProtoNoNext
}

// link returns what the link header carries and the IP version that it announces, 0 for either. If it is not IP, ok is false
// and c.why says so.
func (c *carried) link(link LinkType, b []byte) (payload []byte, version uint8, ok bool) {
	switch link {
	case LinkEthernet:
		return c.ethernet(b)
	case LinkRaw, LinkRaw12, LinkRaw14:
		return b, 0, true
	case LinkIPv4:
		return b, 4, true
	case LinkIPv6:
		return b, 6, true
	case LinkNull, LinkLoop:
		return c.family(link, b)
	case LinkSLL:
		return c.cooked(b, 16, 0, 2, 14)
	case LinkSLL2:
		return c.cooked(b, 20, 10, 8, 0)
	case LinkPPP, LinkPPPHDLC:
		return c.ppp(b)
	case LinkPPPDir:
		return c.pppDir(b)
	case LinkCiscoHDLC:
		return c.ciscoHDLC(b)
	}
	return c.not(UnsupportedLink, 0)
}

// not ends the search.
func (c *carried) not(why Reason, protocol uint16) ([]byte, uint8, bool) {
	c.why, c.protocol = why, protocol
	return nil, 0, false
}

// cooked reads a Linux cooked header of n bytes: kind, hardware and proto are where its packet type, ARPHRD type and
// EtherType stand; the packet type has one byte in version 2 and two in version 1, of which the first is 0.
func (c *carried) cooked(b []byte, n, kind, hardware, proto int) ([]byte, uint8, bool) {
	const (
		sentByUs      = 4 // PACKET_OUTGOING
		arphrdLoop    = 772
		kindLenSLL    = 2
		headerLenSLL2 = 20
	)
	if len(b) < n {
		return c.not(Malformed, 0)
	}
	if n != headerLenSLL2 {
		kind += kindLenSLL - 1
	}
	c.direction = Inbound
	if b[kind] == sentByUs {
		c.direction = Outbound
	}
	c.loopback = binary.BigEndian.Uint16(b[hardware:]) == arphrdLoop
	return c.etherType(binary.BigEndian.Uint16(b[proto:]), b[n:])
}

// family reads the address family of BSD loopback. LOOP has it in network byte order; NULL in that of the host that captured,
// which the file does not tell apart: the families are small numbers, so one reading makes sense.
func (c *carried) family(link LinkType, b []byte) ([]byte, uint8, bool) {
	const headerLen = 4
	if len(b) < headerLen {
		return c.not(Malformed, 0)
	}
	family := binary.BigEndian.Uint32(b)
	if link == LinkNull && family > 0xffff {
		family = swapped(family)
	}
	switch family {
	case 2: // AF_INET, everywhere
		return b[headerLen:], 4, true
	case 10, 23, 24, 28, 30: // AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin
		return b[headerLen:], 6, true
	}
	return c.not(NotIP, uint16(family))
}
