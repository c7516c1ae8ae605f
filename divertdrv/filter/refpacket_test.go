package filter

import (
	"math/big"
	"slices"
	"strings"
)

// refPacket is an IP packet taken apart.
type refPacket struct {
	family, transport string
	all               []byte // as long as IP says, or as is there
	head              []byte // from the transport header, or what stands in its place
	payload           []byte
	proto             byte
	fragment          bool
}

// refDecode returns nil for what is no IP packet.
func refDecode(b []byte) *refPacket {
	p := &refPacket{}
	laterFragment := false
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		p.family = "ip"
		ihl, total := int(b[0]&15)*4, int(b[2])<<8|int(b[3])
		if ihl < 20 || total < ihl || len(b) < ihl {
			return nil
		}
		p.all = b[:min(total, len(b))]
		p.head, p.proto = p.all[ihl:], b[9]
		laterFragment = b[6]&0x1f != 0 || b[7] != 0
		p.fragment = laterFragment || b[6]&0x20 != 0
	case len(b) >= 40 && b[0]>>4 == 6:
		p.family = "ipv6"
		p.all = b[:min(40+(int(b[4])<<8|int(b[5])), len(b))]
		p.head, p.proto = p.all[40:], b[6]
		laterFragment = p.extensions()
	default:
		return nil
	}
	p.payload = p.head
	if laterFragment {
		return p
	}
	size := 8
	switch {
	case p.proto == 1 && p.family == "ip" && len(p.head) >= 8:
		p.transport = "icmp"
	case p.proto == 58 && p.family == "ipv6" && len(p.head) >= 8:
		p.transport = "icmpv6"
	case p.proto == 17 && len(p.head) >= 8:
		p.transport = "udp"
	case p.proto == 6 && len(p.head) >= 20 && p.head[12]>>4 >= 5:
		p.transport = "tcp"
		size = min(int(p.head[12]>>4)*4, len(p.head))
	default:
		return p
	}
	p.payload = p.head[size:]
	return p
}

// extensions skips IPv6 extension headers and says whether the packet is a fragment other than the first.
func (p *refPacket) extensions() bool {
	for len(p.head) >= 2 {
		size := (int(p.head[1]) + 1) * 8
		switch p.proto {
		case 0, 43, 60, 135:
		case 51:
			size = (int(p.head[1]) + 2) * 4
		case 44:
			if p.fragment {
				return false
			}
			size = 8
		default:
			return false
		}
		if len(p.head) < size {
			return false
		}
		later := false
		if p.proto == 44 {
			p.fragment = true
			later = p.head[2] != 0 || p.head[3]>>3 != 0
		}
		p.proto, p.head = p.head[0], p.head[size:]
		if later {
			return true
		}
	}
	return false
}

func refBytes(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

func refLittle(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return refBytes(b)
}

func refInt(v int64) *big.Int { return big.NewInt(v) }

func refBool(b bool) *big.Int {
	if b {
		return refInt(1)
	}
	return refInt(0)
}

// refBits says where fields of headers are: bytes from, bytes long, bits to the right of it, bits of it.
var refBits = map[string][4]int{
	"ip.HdrLength": {0, 1, 0, 4}, "ip.TOS": {1, 1, 0, 8}, "ip.Length": {2, 2, 0, 16}, "ip.Id": {4, 2, 0, 16},
	"ip.DF": {6, 1, 6, 1}, "ip.MF": {6, 1, 5, 1}, "ip.FragOff": {6, 2, 0, 13}, "ip.TTL": {8, 1, 0, 8},
	"ip.Protocol": {9, 1, 0, 8}, "ip.Checksum": {10, 2, 0, 16},
	"ipv6.TrafficClass": {0, 2, 4, 8}, "ipv6.FlowLabel": {1, 3, 0, 20}, "ipv6.Length": {4, 2, 0, 16},
	"ipv6.NextHdr": {6, 1, 0, 8}, "ipv6.HopLimit": {7, 1, 0, 8}, "ipv6.SrcAddr": {8, 16, 0, 128}, "ipv6.DstAddr": {24, 16, 0, 128},
	"icmp.Type": {0, 1, 0, 8}, "icmp.Code": {1, 1, 0, 8}, "icmp.Checksum": {2, 2, 0, 16}, "icmp.Body": {4, 4, 0, 32},
	"tcp.SrcPort": {0, 2, 0, 16}, "tcp.DstPort": {2, 2, 0, 16}, "tcp.SeqNum": {4, 4, 0, 32}, "tcp.AckNum": {8, 4, 0, 32},
	"tcp.HdrLength": {12, 1, 4, 4}, "tcp.Urg": {13, 1, 5, 1}, "tcp.Ack": {13, 1, 4, 1}, "tcp.Psh": {13, 1, 3, 1},
	"tcp.Rst": {13, 1, 2, 1}, "tcp.Syn": {13, 1, 1, 1}, "tcp.Fin": {13, 1, 0, 1}, "tcp.Window": {14, 2, 0, 16},
	"tcp.Checksum": {16, 2, 0, 16}, "tcp.UrgPtr": {18, 2, 0, 16},
	"udp.SrcPort": {0, 2, 0, 16}, "udp.DstPort": {2, 2, 0, 16}, "udp.Length": {4, 2, 0, 16}, "udp.Checksum": {6, 2, 0, 16},
}

// value returns what the field of a test is, nil where there is none.
func (s *refState) value(t *refTest, f refField) *big.Int {
	switch t.field {
	case "zero", "false":
		return refInt(0)
	case "true":
		return refInt(1)
	case "event":
		return refInt(int64(s.raw[9]))
	case "timestamp":
		v := refLittle(s.raw[:8])
		if s.raw[7]&0x80 != 0 {
			v.Sub(v, new(big.Int).Lsh(refInt(1), 64))
		}
		return v
	case "inbound":
		return refBool(s.raw[10]&2 == 0)
	case "outbound":
		return refBool(s.raw[10]&2 != 0)
	case "loopback":
		return refBool(s.raw[10]&4 != 0)
	case "impostor":
		return refBool(s.raw[10]&8 != 0)
	case "ip", "ipv6", "tcp", "udp", "icmp", "icmpv6":
		return refBool(s.has(t.field))
	}
	switch {
	case f.header != "" && !s.has(f.header):
		return nil
	case s.pkt != nil:
		return s.packetValue(t, f)
	}
	d := s.raw[16:]
	at := map[string][2]int{
		"endpointId": {0, 8}, "parentEndpointId": {8, 16}, "processId": {16, 20}, "localAddr": {20, 36}, "remoteAddr": {36, 52},
		"localPort": {52, 54}, "remotePort": {54, 56}, "protocol": {56, 57},
	}
	if s.layer == 4 {
		at = map[string][2]int{"processId": {8, 12}, "layer": {12, 16}, "priority": {24, 26}}
	}
	r := at[t.field]
	v := refLittle(d[r[0]:r[1]])
	if t.field == "priority" && v.Bit(15) == 1 {
		v.Sub(v, refInt(1<<16))
	}
	return v
}

func (s *refState) packetValue(t *refTest, f refField) *big.Int {
	p, out := s.pkt, s.raw[10]&2 != 0
	if bits, ok := refBits[strings.Replace(t.field, "icmpv6.", "icmp.", 1)]; ok {
		b := p.head
		if strings.HasPrefix(f.header, "ip") {
			b = p.all
		}
		v := refBytes(b[bits[0] : bits[0]+bits[1]])
		v.Rsh(v, uint(bits[2])).And(v, new(big.Int).Sub(new(big.Int).Lsh(refInt(1), uint(bits[3])), refInt(1)))
		if t.field == "ipv6.FlowLabel" && s.faults.label { // 0x12345 is taken for 0x23450100
			return refBytes([]byte{b[2], b[3], b[1] & 15, 0})
		}
		return v
	}
	if f.size > 0 {
		data := p.all
		if f.header != "" {
			data = p.payload
		}
		from := t.index
		if t.fromEnd {
			from = len(data) - t.index
		}
		if from < 0 || from+f.size > len(data) {
			return nil
		}
		return refBytes(data[from : from+f.size])
	}
	switch t.field {
	case "ifIdx":
		return refLittle(s.raw[16:20])
	case "subIfIdx":
		return refLittle(s.raw[20:24])
	case "ip.SrcAddr":
		return p.address(true)
	case "ip.DstAddr":
		return p.address(false)
	case "localAddr":
		return p.address(out)
	case "remoteAddr":
		return p.address(!out)
	case "localPort":
		return p.port(out)
	case "remotePort":
		return p.port(!out)
	case "protocol":
		return refInt(int64(p.proto))
	case "length":
		return refInt(int64(len(p.all)))
	case "fragment":
		return refBool(p.fragment)
	case "tcp.PayloadLength", "udp.PayloadLength":
		return refInt(int64(len(p.payload)))
	}
	panic(t.field)
}

func (p *refPacket) address(source bool) *big.Int {
	switch {
	case p.family == "ip" && source:
		return refBytes(append([]byte{0xff, 0xff}, p.all[12:16]...))
	case p.family == "ip":
		return refBytes(append([]byte{0xff, 0xff}, p.all[16:20]...))
	case source:
		return refBytes(p.all[8:24])
	}
	return refBytes(p.all[24:40])
}

func (p *refPacket) port(sender bool) *big.Int {
	switch {
	case (p.transport == "tcp" || p.transport == "udp") && sender:
		return refBytes(p.head[0:2])
	case p.transport == "tcp" || p.transport == "udp":
		return refBytes(p.head[2:4])
	case p.transport != "" && sender: // ICMP: the type
		return refBytes(p.head[:1])
	}
	return refInt(0)
}
