package pcapdrv

import "encoding/binary"

// EtherTypes (IEEE 802 numbers).
const (
	etherIPv4      = 0x0800
	etherVLAN      = 0x8100
	etherIPv6      = 0x86dd
	etherPPPoE     = 0x8864
	etherQinQ      = 0x88a8
	etherOldQinQ   = 0x9100
	etherTypeMin   = 0x0600 // below it stands the length of an 802.3 frame
	tagsMax        = 8      // VLAN tags that are looked behind
	tagLen         = 4
	etherHeaderLen = 14
)

// ethernet reads DIX Ethernet, and 802.3 with an LLC/SNAP header (RFC 1042).
func (c *carried) ethernet(b []byte) ([]byte, uint8, bool) {
	if len(b) < etherHeaderLen {
		return c.not(Malformed, 0)
	}
	return c.etherType(binary.BigEndian.Uint16(b[12:]), b[etherHeaderLen:])
}

// etherType looks behind tags, LLC/SNAP and PPPoE sessions at what comes next.
func (c *carried) etherType(typ uint16, b []byte) ([]byte, uint8, bool) {
	for range tagsMax {
		if typ != etherVLAN && typ != etherQinQ && typ != etherOldQinQ {
			break
		}
		if len(b) < tagLen {
			return c.not(Malformed, 0)
		}
		typ, b = binary.BigEndian.Uint16(b[2:]), b[tagLen:]
	}
	if typ < etherTypeMin {
		typ, b = snap(b)
	}
	switch typ {
	case etherIPv4:
		return b, 4, true
	case etherIPv6:
		return b, 6, true
	case etherPPPoE:
		return c.pppoe(b)
	}
	return c.not(NotIP, typ)
}

// snap reads an LLC/SNAP header that carries an EtherType; 0: it is another one.
func snap(b []byte) (typ uint16, rest []byte) {
	const headerLen = 8
	const prefix = "\xaa\xaa\x03\x00\x00\x00"
	if len(b) < headerLen || string(b[:len(prefix)]) != prefix {
		return 0, nil
	}
	return binary.BigEndian.Uint16(b[len(prefix):]), b[headerLen:]
}

// pppoe reads the header of a PPPoE session (RFC 2516 section 4).
func (c *carried) pppoe(b []byte) ([]byte, uint8, bool) {
	const headerLen = 6
	if len(b) < headerLen || b[0] != 0x11 || b[1] != 0 {
		return c.not(Malformed, 0)
	}
	return c.ppp(b[headerLen:])
}

// ppp reads PPP: address and control where they are there (RFC 1662 section 3.1), and a protocol whose first byte may be
// left out (RFC 1661 section 6.5).
func (c *carried) ppp(b []byte) ([]byte, uint8, bool) {
	const (
		pppIPv4 = 0x0021 // RFC 1332
		pppIPv6 = 0x0057 // RFC 5072
	)
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	n := 2
	if len(b) > 0 && b[0]&1 != 0 {
		n = 1
	}
	if len(b) < n {
		return c.not(Malformed, 0)
	}
	proto := uint16(b[n-1]) | uint16(b[0])<<8*uint16(n-1)
	switch proto {
	case pppIPv4:
		return b[n:], 4, true
	case pppIPv6:
		return b[n:], 6, true
	}
	return c.not(NotIP, proto)
}

// pppDir reads PPP_WITH_DIR: 0 is received, anything else sent.
func (c *carried) pppDir(b []byte) ([]byte, uint8, bool) {
	if len(b) == 0 {
		return c.not(Malformed, 0)
	}
	c.direction = Inbound
	if b[0] != 0 {
		c.direction = Outbound
	}
	return c.ppp(b[1:])
}

// ciscoHDLC reads Cisco's HDLC: address, control, EtherType (RFC 1547 section 4.3.1).
func (c *carried) ciscoHDLC(b []byte) ([]byte, uint8, bool) {
	const headerLen = 4
	if len(b) < headerLen {
		return c.not(Malformed, 0)
	}
	return c.etherType(binary.BigEndian.Uint16(b[2:]), b[headerLen:])
}
