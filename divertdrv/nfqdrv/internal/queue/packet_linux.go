package queue

import "encoding/binary"

// Numbers of the kernel's interface: linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_queue.h.
const (
	headerLen = 16 // struct nlmsghdr
	familyLen = 4  // struct nfgenmsg
	attrLen   = 4  // struct nlattr

	typeError = 2 // NLMSG_ERROR

	subsystem  = 3 << 8 // NFNL_SUBSYS_QUEUE
	typePacket = subsystem
	typeConfig = subsystem | 2

	attrTypeMask = 1<<14 - 1 // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

	attrHeader  = 1  // struct nfqnl_msg_packet_hdr
	attrInDev   = 5  // u32
	attrOutDev  = 6  // u32
	attrPayload = 10 // bytes from the IP header
	attrCapLen  = 13 // u32, the packet's length iff the payload is cut
	attrSKBInfo = 14 // u32
)

// Hook is where in the kernel a packet was taken; its numbers are enum nf_inet_hooks.
type Hook uint8

// The hooks of the IP stack.
const (
	PreRouting Hook = iota
	LocalIn
	Forward
	LocalOut
	PostRouting
)

// Facts are what the kernel knows of a packet's buffer; its numbers are enum nfqnl_skb_flags.
type Facts uint32

// The facts.
const (
	ChecksumOwed       Facts = 1 << iota // the transport checksum is the device's to fill in: CHECKSUM_PARTIAL
	Segmentable                          // a super-packet (GSO), to be cut into segments later on
	ChecksumUnverified                   // nobody has looked at the transport checksum yet
)

// MaxPayload is the largest packet in bytes that the interface carries either way: a 16-bit attribute without its header.
const MaxPayload = 0xffff - attrLen

// Packet is one packet that waits in the kernel for a verdict.
type Packet struct {
	ID    uint32 // names it in the verdict; counts up from 1 in each queue
	Hook  Hook
	InIf  uint32 // interface index, 0 where there is none
	OutIf uint32
	Len   uint32 // of the packet in bytes; more than len(Data) iff it was cut
	Facts Facts
	Data  []byte // from the IP header; valid until the next Recv
}

// message is what one netlink message says.
type message uint8

const (
	malformed message = iota
	aPacket
	anAnswer // NLMSG_ERROR: an acknowledgement or an error
	other
)

// answer is an acknowledgement or an error of a request.
type answer struct {
	seq   uint32
	errno uint32 // 0: acknowledged
}

// read reads the message at the start of b, in place. Of p or a only what the message is about is valid afterwards.
func read(b []byte, p *Packet, a *answer) message {
	if len(b) < headerLen {
		return malformed
	}
	n := binary.NativeEndian.Uint32(b)
	if n < headerLen || uint64(n) > uint64(len(b)) {
		return malformed
	}
	b = b[:n]
	switch binary.NativeEndian.Uint16(b[4:]) {
	case typePacket:
		return readPacket(b[headerLen:], p)
	case typeError:
		if len(b) < headerLen+4+headerLen {
			return malformed
		}
		a.errno = -binary.NativeEndian.Uint32(b[headerLen:])
		a.seq = binary.NativeEndian.Uint32(b[headerLen+4+8:])
		return anAnswer
	}
	return other
}

// readPacket reads the attributes of a packet message behind its netlink header.
func readPacket(b []byte, p *Packet) message {
	if len(b) < familyLen {
		return malformed
	}
	*p = Packet{}
	named := false
	for b = b[familyLen:]; len(b) >= attrLen; {
		n := int(binary.NativeEndian.Uint16(b))
		if n < attrLen || n > len(b) {
			return malformed
		}
		value := b[attrLen:n]
		switch binary.NativeEndian.Uint16(b[2:]) & attrTypeMask {
		case attrHeader:
			if len(value) < 7 {
				return malformed
			}
			p.ID, p.Hook, named = binary.BigEndian.Uint32(value), Hook(value[6]), true
		case attrPayload:
			p.Data = value
		default:
			p.set(binary.NativeEndian.Uint16(b[2:])&attrTypeMask, value)
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	if !named {
		return malformed
	}
	p.Len = max(p.Len, uint32(len(p.Data)))
	return aPacket
}

// set keeps an attribute that is one number.
func (p *Packet) set(attr uint16, value []byte) {
	if len(value) != 4 {
		return
	}
	v := binary.BigEndian.Uint32(value)
	switch attr {
	case attrInDev:
		p.InIf = v
	case attrOutDev:
		p.OutIf = v
	case attrCapLen:
		p.Len = v
	case attrSKBInfo:
		p.Facts = Facts(v)
	}
}
