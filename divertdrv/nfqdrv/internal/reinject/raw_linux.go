package reinject

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

const (
	// sendBuffer is what the packets of one raw socket may take in the kernel, by its own accounting (a small packet counts for
	// about 1 KiB). They wait there while they are in a queue of a lower handle.
	sendBuffer = 8 << 20

	sourceOff4, destOff4 = 12, 16 // of the addresses in an IPv4 header
	sourceOff6, destOff6 = 8, 24  // and in an IPv6 header
)

// rawSocket opens a socket that sends packets with their own headers, from and to anywhere, and receives nothing.
func rawSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return -1, opening("raw socket (needs CAP_NET_RAW)", err)
	}
	if err := prepareRaw(fd, family); err != nil {
		_ = unix.Close(fd)
		return -1, opening("prepare raw socket", err)
	}
	return fd, nil
}

func prepareRaw(fd, family int) error {
	// Protocol 255 on the wire would fill the socket's receive buffer: take nothing.
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	prog := unix.SockFprog{Len: uint16(len(nothing)), Filter: &nothing[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		// Without CAP_NET_ADMIN as much as the system allows.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	if family == unix.AF_INET {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1) // sources that are not this host's
}

// fillRaw4 adds an IPv4 packet. The kernel routes by what the control messages say, not by the header: so they say the same.
func fillRaw4(b *burst, p *divertdrv.Packet) error {
	s := &b.slots[b.n]
	head, rest, err := s.hop(p, s.head[:0], false)
	if err != nil {
		return err
	}
	name := s.name[:unix.SizeofSockaddrInet4]
	clear(name)
	binary.NativeEndian.PutUint16(name, unix.AF_INET)
	copy(name[4:], p.Data[destOff4:destOff4+4])

	c := s.controls()
	const tosAt = 32 // behind the first message
	info := control(c, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	binary.NativeEndian.PutUint32(info, scope4(p))
	copy(info[4:8], p.Data[sourceOff4:sourceOff4+4])
	tos := control(c[tosAt:], unix.IPPROTO_IP, unix.IP_TOS, 4)
	binary.NativeEndian.PutUint32(tos, uint32(p.Data[1]))
	b.add(head, rest, len(name), tosAt+unix.CmsgSpace(4))
	return nil
}

// scope4 is the interface that a destination needs to be known by; else the routes decide.
func scope4(p *divertdrv.Packet) uint32 {
	dst := binary.BigEndian.Uint32(p.Data[destOff4:])
	if dst>>28 == 0xe || dst == 0xffffffff { // multicast, all hosts of a link
		return p.Addr.IfIdx()
	}
	return 0
}

func fillRaw6(b *burst, p *divertdrv.Packet) error {
	s := &b.slots[b.n]
	head, rest, err := s.hop(p, s.head[:0], false)
	if err != nil {
		return err
	}
	src, dst := p.Data[sourceOff6:sourceOff6+16], p.Data[destOff6:destOff6+16]
	var ifIdx uint32
	if linkLocal(src) || linkLocal(dst) || dst[0] == 0xff {
		ifIdx = p.Addr.IfIdx()
	}
	name := s.name[:]
	clear(name)
	binary.NativeEndian.PutUint16(name, unix.AF_INET6)
	copy(name[8:24], dst)
	binary.NativeEndian.PutUint32(name[24:], ifIdx)

	info := control(s.controls(), unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	if src[0] != 0xff && !(linkLocal(src) && ifIdx == 0) { // the kernel would refuse these here, though not in the header
		copy(info[:16], src)
	}
	binary.NativeEndian.PutUint32(info[16:], ifIdx)
	b.add(head, rest, len(name), unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	return nil
}

// linkLocal: fe80::/10.
func linkLocal(a []byte) bool { return a[0] == 0xfe && a[1]&0xc0 == 0x80 }

// control writes the header of a control message of n bytes at the start of b, and returns those bytes, zeroed.
func control(b []byte, level, typ int32, n int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(n))
	data := b[unix.CmsgLen(0):unix.CmsgLen(n)]
	clear(data)
	return data
}

// controls is the slot's room for control messages, aligned as they must be.
func (s *slot) controls() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s.control[0])), len(s.control)*8)
}

// hop takes a hop off an impostor and adds one on the forward path, where the kernel takes one off. The header that results is
// appended to head, a part of the slot, since the packet is not ours to change. It returns the two parts of the message.
func (s *slot) hop(p *divertdrv.Packet, head []byte, forward bool) (begin, rest []byte, err error) {
	h := p.Headers()
	ttl := wire.TTL(p.Data, h)
	given := ttl
	if p.Addr.Impostor() {
		if ttl <= 1 {
			return nil, nil, divertdrv.ErrHopLimit
		}
		ttl--
	}
	if forward {
		if ttl == 0 {
			return nil, nil, divertdrv.ErrHopLimit
		}
		ttl = max(ttl, ttl+1) // 255 stays
	}
	if ttl == given {
		return head, p.Data, nil
	}
	at := len(head)
	head = append(head, p.Data[:wire.IPv4HeaderLen]...) // of IPv6 too, whose hop limit is the eighth byte
	wire.SetTTL(head[at:], h, ttl)
	return head, p.Data[wire.IPv4HeaderLen:], nil
}
