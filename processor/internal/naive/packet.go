package naive

import (
	"encoding/binary"
	"fmt"
)

// Packet is what a driver hands over.
type Packet struct {
	Data     []byte
	Outbound bool
	Forward  bool // taken where this host routes
	At       int64
	ID       uint64 // told to callouts
}

// header is what can be read of a packet. A field is valid iff what stands before it allows.
type header struct {
	version   int // 4, 6; 0: no packet
	src, dst  [16]byte
	protocol  int
	fragment  bool
	transport string // "tcp", "udp", "icmp", "icmpv6" iff its whole fixed header is here
	at        int    // where the transport header begins
}

// read decodes a packet.
func read(b []byte) (h header) {
	if len(b) < 20 {
		return header{}
	}
	later := false
	end := 0
	switch b[0] >> 4 {
	case 4:
		end = min(int(binary.BigEndian.Uint16(b[2:])), len(b))
		h.at = int(b[0]&15) * 4
		if h.at < 20 || end < h.at {
			return header{}
		}
		h.version, h.protocol = 4, int(b[9])
		copy(h.src[12:], b[12:16])
		copy(h.dst[12:], b[16:20])
		h.fragment = b[6]&0x3f != 0 || b[7] != 0
		later = b[6]&0x1f != 0 || b[7] != 0
	case 6:
		if len(b) < 40 {
			return header{}
		}
		end = min(40+int(binary.BigEndian.Uint16(b[4:])), len(b))
		h.version, h.protocol, h.at = 6, int(b[6]), 40
		copy(h.src[:], b[8:24])
		copy(h.dst[:], b[24:40])
		for !later {
			size := map[int]int{0: 8, 43: 8, 60: 8, 44: 8}[h.protocol]
			if size == 0 || end < h.at+8 || h.protocol == 44 && h.fragment {
				break
			}
			if h.protocol == 44 {
				h.fragment = true
				later = binary.BigEndian.Uint16(b[h.at+2:])>>3 != 0
			} else {
				size += 8 * int(b[h.at+1])
			}
			if end < h.at+size {
				break
			}
			h.protocol = int(b[h.at])
			h.at += size
		}
	default:
		return header{}
	}
	rest := end - h.at
	switch {
	case later:
	case h.protocol == 6 && rest >= 20 && b[h.at+12]>>4 >= 5:
		h.transport = "tcp"
	case h.protocol == 17 && rest >= 8:
		h.transport = "udp"
	case h.protocol == 1 && h.version == 4 && rest >= 8:
		h.transport = "icmp"
	case h.protocol == 58 && h.version == 6 && rest >= 8:
		h.transport = "icmpv6"
	}
	return h
}

// ports are those of the transport; an echo's identifier stands for both.
func (h *header) ports(b []byte) (src, dst int) {
	word := func(at int) int { return int(binary.BigEndian.Uint16(b[h.at+at:])) }
	switch h.transport {
	case "tcp", "udp":
		return word(0), word(2)
	case "icmp":
		if t := b[h.at]; t == 0 || t == 8 {
			return word(4), word(4)
		}
	case "icmpv6":
		if t := b[h.at]; t == 128 || t == 129 {
			return word(4), word(4)
		}
	}
	return 0, 0
}

// flag says whether a TCP segment has a flag.
func (h *header) flag(b []byte, name string) bool {
	bit := map[string]byte{"fin": 1, "syn": 2, "rst": 4, "ack": 16}[name]
	return h.transport == "tcp" && b[h.at+13]&bit != 0
}

// icmpError says whether the packet is an ICMP error (RFC 792, RFC 4443).
func (h *header) icmpError(b []byte) bool {
	switch h.transport {
	case "icmp":
		return map[byte]bool{3: true, 4: true, 5: true, 11: true, 12: true}[b[h.at]]
	case "icmpv6":
		return b[h.at] < 128
	}
	return false
}

// portUnreachable says whether the packet tells that nobody listens at a UDP port.
func (h *header) portUnreachable(b []byte) bool {
	return h.transport == "icmp" && b[h.at] == 3 && b[h.at+1] == 3 || h.transport == "icmpv6" && b[h.at] == 1 && b[h.at+1] == 4
}

// ends names both ends of the flow, and the flow: the same for both directions.
func (h *header) ends(b []byte) (src, flow string) {
	s, d := h.ports(b)
	src, dst := fmt.Sprintf("%x.%d", h.src, s), fmt.Sprintf("%x.%d", h.dst, d)
	low, high := src, dst
	if low > high {
		low, high = high, low
	}
	return src, fmt.Sprintf("%d/%d %s %s", h.version, h.protocol, low, high)
}
