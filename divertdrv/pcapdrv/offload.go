package pcapdrv

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// setFinal sets the checksum flags of a. What is in a capture was on the wire, so it is final; only a packet that was captured
// before the sender's hardware had filled its checksums in has others, and they can be told: the transport checksum is that of
// the pseudo header alone (Linux: CHECKSUM_PARTIAL, with the length; Windows: large send offload, without it), and the header
// checksum is 0. A right checksum has such a value once in 65,536 packets; to call it open does no harm, since it is then
// computed to be what it is, and only when the packet is changed or injected.
func setFinal(a *divertdrv.Address, c *carried) {
	a.SetChecksums(true)
	if c.headers.Version == 4 && binary.BigEndian.Uint16(c.ip[10:]) == 0 {
		a.SetIPChecksum(false)
	}
	if c.headers.Fragment { // the sum covers the whole datagram, which is not here
		return
	}
	switch at := int(c.headers.TransportOff); c.headers.Transport {
	case wire.TCP:
		a.SetTCPChecksum(!partial(c, binary.BigEndian.Uint16(c.ip[at+16:])))
	case wire.UDP:
		if sum := binary.BigEndian.Uint16(c.ip[at+6:]); sum != 0 { // 0: it has none, RFC 768
			a.SetUDPChecksum(!partial(c, sum))
		}
	}
}

// partial says whether sum covers the pseudo header only (RFC 9293 section 3.1, RFC 8200 section 8.1).
func partial(c *carried, sum uint16) bool {
	addresses := c.ip[12:20]
	if c.headers.Version == 6 {
		addresses = c.ip[8:40]
	}
	s := uint32(c.headers.Proto)
	for ; len(addresses) > 0; addresses = addresses[2:] {
		s += uint32(binary.BigEndian.Uint16(addresses))
	}
	length := c.headers.Total - c.headers.TransportOff
	return sum == fold(s+length) || sum == fold(s)
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
