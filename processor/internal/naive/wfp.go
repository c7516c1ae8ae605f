package naive

import "bytes"

// WFP is one condition as WFP has it. Numbers, addresses and flags are bytes in network order.
type WFP struct {
	Field, Match string
	Low, High    []byte // the same but for ranges and prefixes
}

// WFPHolds is what conditions say of a packet: one of each run of the same field must hold.
func WFPHolds(conditions []WFP, p *Packet) bool {
	if len(conditions) > 0 && read(p.Data).version == 0 {
		return false
	}
	for len(conditions) > 0 {
		field, any := conditions[0].Field, false
		for len(conditions) > 0 && conditions[0].Field == field {
			any = any || conditions[0].holds(p)
			conditions = conditions[1:]
		}
		if !any {
			return false
		}
	}
	return true
}

// field returns the field's value in the packet; nil: it has none.
func (c *WFP) field(p *Packet) []byte {
	h := read(p.Data)
	short := func(src, dst [16]byte) []byte {
		a := src
		if (c.Field == "ip-local-address") != p.Outbound {
			a = dst
		}
		if h.version == 4 {
			return a[12:]
		}
		return a[:]
	}
	switch c.Field {
	case "ip-local-address", "ip-remote-address":
		return short(h.src, h.dst)
	case "ip-local-port", "ip-remote-port":
		if h.transport != "tcp" && h.transport != "udp" {
			return nil
		}
		at := h.at
		if (c.Field == "ip-local-port") != p.Outbound {
			at += 2
		}
		return p.Data[at : at+2]
	case "ip-protocol":
		return []byte{byte(h.protocol)}
	case "icmp-type", "icmp-code":
		if h.transport != "icmp" && h.transport != "icmpv6" {
			return nil
		}
		at := map[string]int{"icmp-type": 0, "icmp-code": 1}[c.Field]
		return []byte{0, p.Data[h.at+at]}
	case "direction":
		return []byte{0, 0, 0, map[bool]byte{true: 0, false: 1}[p.Outbound]}
	case "tcp-flags":
		if h.transport == "tcp" {
			return p.Data[h.at+13 : h.at+14]
		}
	case "flags":
		return []byte{0, 0, 0, map[bool]byte{true: 0x20}[h.fragment]}
	}
	return nil
}

func (c *WFP) holds(p *Packet) bool {
	v := c.field(p)
	if len(v) != len(c.Low) {
		return false // another IP version, or no such field
	}
	low, high := bytes.Compare(v, c.Low), bytes.Compare(v, c.High)
	set, all := false, true
	for i := range v {
		set = set || v[i]&c.Low[i] != 0
		all = all && v[i]&c.Low[i] == c.Low[i]
	}
	return map[string]bool{
		"equal": low >= 0 && high <= 0, "range": low >= 0 && high <= 0, "not-equal": low < 0 || high > 0,
		"greater": low > 0, "less": low < 0, "greater-or-equal": low >= 0, "less-or-equal": low <= 0,
		"flags-all-set": all, "flags-any-set": set, "flags-none-set": !set,
	}[c.Match]
}
