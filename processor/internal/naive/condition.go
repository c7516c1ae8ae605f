package naive

import (
	"bytes"
	"net/netip"
)

// Test is one test of a condition. Fields are named as in the filter language.
type Test struct {
	Field string // "true", "tcp", "ip", "outbound", "fragment", "tcp.Syn", "ip.SrcAddr", "udp.DstPort", …
	Op    string // "", or "==", "!=", "<", ">", "<=", ">="
	Addr  netip.Addr
	Port  int
}

// Condition is tests joined by and, and those by or. Empty: it always holds, for what is no packet too.
type Condition [][]Test

func (c Condition) holds(p *Packet) bool {
	if len(c) == 0 {
		return true
	}
	h := read(p.Data)
	if h.version == 0 {
		return false
	}
	for _, all := range c {
		met := true
		for _, t := range all {
			met = met && t.holds(p, &h)
		}
		if met {
			return true
		}
	}
	return false
}

func (t *Test) holds(p *Packet, h *header) bool {
	srcPort, dstPort := h.ports(p.Data)
	switch t.Field {
	case "true":
		return true
	case "outbound":
		return p.Outbound
	case "inbound":
		return !p.Outbound
	case "ip", "ipv6":
		return h.version == map[string]int{"ip": 4, "ipv6": 6}[t.Field]
	case "fragment":
		return h.fragment
	case "tcp.Syn":
		return h.flag(p.Data, "syn")
	case "tcp.Rst":
		return h.flag(p.Data, "rst")
	case "ip.SrcAddr", "ipv6.SrcAddr":
		return t.address(h, h.src)
	case "ip.DstAddr", "ipv6.DstAddr":
		return t.address(h, h.dst)
	case "tcp.SrcPort", "udp.SrcPort":
		return h.transport == t.Field[:3] && t.compare(srcPort-t.Port)
	case "tcp.DstPort", "udp.DstPort":
		return h.transport == t.Field[:3] && t.compare(dstPort-t.Port)
	}
	return h.transport == t.Field
}

// address compares where the packet has the field's version.
func (t *Test) address(h *header, a [16]byte) bool {
	want := t.Addr.As16()
	if t.Addr.Is4() {
		clear(want[:12])
	}
	return h.version == map[bool]int{true: 4, false: 6}[t.Addr.Is4()] && t.compare(bytes.Compare(a[:], want[:]))
}

func (t *Test) compare(sign int) bool {
	return map[string]bool{"==": sign == 0, "!=": sign != 0, "<": sign < 0, ">": sign > 0, "<=": sign <= 0, ">=": sign >= 0}[t.Op]
}
