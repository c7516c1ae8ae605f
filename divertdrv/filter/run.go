package filter

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// run walks the nodes to accept or reject. Edges only lead forward, so it ends.
//
// pkt and h must belong together; h is nil only where no node looks at a packet.
func (p *Program) run(facts uint32, a *addr.Address, pkt []byte, h *wire.Headers) bool {
	nodes := p.code.nodes
	at := uint(p.code.entry)
	for at < uint(len(nodes)) {
		n := &nodes[at]
		if facts&n.mask != n.want {
			at = uint(n.none)
			continue
		}
		var v uint64
		switch n.class {
		case classFact:
			at = uint(n.in)
			continue
		case classWord:
			v = n.wordAt(pkt, h)
		case classPayloadLength:
			v = uint64(h.PayloadLen())
		case classIndexed:
			word, ok := n.word(pkt, h)
			if !ok {
				at = uint(n.none)
				continue
			}
			v = word
		case classAddress:
			whole := n.address(a, pkt, h)
			if whole.hi != n.hi {
				at = uint(n.out)
				continue
			}
			v = whole.lo
		case classWide:
			at = uint(p.code.wide[n.table].find(n.address(a, pkt, h)))
			continue
		default:
			v = n.scalar(a, pkt, h)
		}
		switch {
		case n.table >= 0:
			at = uint(p.code.tables[n.table].find(v))
		case v-n.lo <= n.span:
			at = uint(n.in)
		default:
			at = uint(n.out)
		}
	}
	return at == uint(len(nodes))
}

// wordAt loads a field of a header.
func (n *node) wordAt(pkt []byte, h *wire.Headers) uint64 {
	return uint64(binary.BigEndian.Uint32(pkt[h.TransportOff&n.base+uint32(n.off):]) & n.bits)
}

// packetFacts gathers the facts of a packet.
func (c *code) packetFacts(a *addr.Address, h *wire.Headers) uint32 {
	facts := headerFacts(h)
	if c.facts >= 1<<addressFacts {
		facts |= addressFactsOf(a)
	}
	return facts
}

// headerFacts gathers the facts that the headers tell, without a branch.
func headerFacts(h *wire.Headers) uint32 {
	return 1<<(h.Transport&31) | factIPv4>>2<<(h.Version/2&31) | uint32(b2u(h.Fragment))*factFragment
}

func addressFactsOf(a *addr.Address) uint32 {
	return uint32(a.FlagBits()&addressFactsMask) << addressFacts
}

// endpointFacts gathers the facts of an event at the FLOW and SOCKET layers.
func (p *Program) endpointFacts(a *addr.Address) uint32 {
	facts := addressFactsOf(a)
	switch proto := a.Flow().Protocol; {
	case proto == wire.ProtoTCP:
		facts |= factTCP
	case proto == wire.ProtoUDP:
		facts |= factUDP
	case proto == wire.ProtoICMP && !a.IPv6():
		facts |= factICMP
	case proto == wire.ProtoICMPv6 && a.IPv6():
		facts |= factICMPv6
	}
	switch {
	case p.compat22: // WinDivert looks at a packet that is not there
	case a.IPv6():
		facts |= factIPv6
	default:
		facts |= factIPv4
	}
	return facts
}

// word reads an indexed word; false: it does not lie within the packet or payload.
func (n *node) word(pkt []byte, h *wire.Headers) (uint64, bool) {
	data := pkt[:h.Len]
	if n.field >= fTCPPayload {
		data = data[h.PayloadOff:]
	}
	size, off := n.field.size(), int(n.off)
	if off < 0 {
		off += len(data)
	}
	if off < 0 || off+size > len(data) {
		return 0, false
	}
	switch size {
	case 1:
		return uint64(data[off]), true
	case 2:
		return uint64(binary.BigEndian.Uint16(data[off:])), true
	}
	return uint64(binary.BigEndian.Uint32(data[off:])), true
}

// address returns the field's address, IPv4 as ::ffff:a.b.c.d.
func (n *node) address(a *addr.Address, pkt []byte, h *wire.Headers) (v u128) {
	switch {
	case n.field == fIPv6SrcAddr:
		return ipv6At(pkt, 8)
	case n.field == fIPv6DstAddr:
		return ipv6At(pkt, 24)
	case h == nil && n.field == fLocalAddr:
		v.hi, v.lo = a.LocalWords()
	case h == nil:
		v.hi, v.lo = a.RemoteWords()
	case (n.field == fLocalAddr) == a.Outbound():
		return sourceAddr(pkt, h)
	default:
		return destinationAddr(pkt, h)
	}
	return v
}

func ipv6At(pkt []byte, off int) u128 {
	b := (*[16]byte)(pkt[off:])
	return u128{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

func sourceAddr(pkt []byte, h *wire.Headers) u128 {
	if h.Version == 6 {
		return ipv6At(pkt, 8)
	}
	return u128{lo: mappedPrefix | uint64(binary.BigEndian.Uint32(pkt[12:]))}
}

func destinationAddr(pkt []byte, h *wire.Headers) u128 {
	if h.Version == 6 {
		return ipv6At(pkt, 24)
	}
	return u128{lo: mappedPrefix | uint64(binary.BigEndian.Uint32(pkt[16:]))}
}
