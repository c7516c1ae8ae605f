package reinject

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/wire"
)

const (
	burstMax = 64 // messages in one sendmmsg: by then a message hardly pays for the call (BenchmarkInject)
	trustMin = 64 // messages that no rule dropped, before they go many at once

	ethernetLen = 14
	controlMax  = 8 // words: room for the control messages of either family
)

// message is struct mmsghdr.
type message struct {
	hdr  unix.Msghdr
	sent uint32
}

// slot is what one message points to. The kernel reads it during sendmmsg.
type slot struct {
	control [controlMax]uint64
	vecs    [2]unix.Iovec
	head    [ethernetLen + wire.IPv6HeaderLen]byte // a frame's header, and an IP header that differs from the packet's
	name    [unix.SizeofSockaddrInet6]byte         // the largest of the three
}

// burst sends packets in one direction, many in one system call, and never waits. It holds pointers to packets only while one
// runs; packets are not copied.
//
// sendmmsg stops at a message that fails and says why only if that was its first, so the rest is sent again, the message that
// failed first. This is harmless but for EPERM: then a rule at OUTPUT dropped the packet, and sending it again shows it once more
// to whoever looks before that rule. So messages go one by one until trustMin in a row were dropped by none, and again after one
// was: of a run of drops that begins among many, the first is seen twice.
type burst struct {
	way   way
	fd    int
	n     int // messages filled
	trust int
	msgs  [burstMax]message
	slots [burstMax]slot

	filtered uint64 // dropped by a rule at OUTPUT
}

// room is how many messages may be filled before flush.
func (b *burst) room() int {
	if b.trusts() {
		return burstMax
	}
	return 1
}

func (b *burst) trusts() bool { return b.way == byFrame || b.trust >= trustMin }

// add begins a message that consists of head, a part of the slot, and the rest of the packet; either may be empty.
func (b *burst) add(head, rest []byte, nameLen, controlLen int) {
	m, s := &b.msgs[b.n], &b.slots[b.n]
	vecs := s.vecs[:0]
	for _, part := range [...][]byte{head, rest} {
		if len(part) > 0 {
			vecs = append(vecs, unix.Iovec{Base: &part[0]})
			vecs[len(vecs)-1].SetLen(len(part))
		}
	}
	m.hdr = unix.Msghdr{Name: &s.name[0], Namelen: uint32(nameLen), Iov: &s.vecs[0]}
	m.hdr.SetIovlen(len(vecs))
	if controlLen > 0 {
		m.hdr.Control = &s.controls()[0]
		m.hdr.SetControllen(controlLen)
	}
	b.n++
}

// flush sends what was added and reports how many messages the kernel took, and why it refused the next.
func (b *burst) flush() (n int, err error) {
	for n < b.n {
		msgs := b.msgs[n:b.n]
		if !b.trusts() {
			msgs = msgs[:1]
		}
		sent, errno := sendmmsg(b.fd, msgs)
		n += sent
		b.trust = min(b.trust+sent, trustMin)
		switch {
		case errno == 0 || errno == unix.EINTR:
		case errno == unix.EPERM && b.way != byFrame:
			b.filtered++
			b.trust = 0
			n++
		default:
			b.forget()
			return n, refused(b.way, errno)
		}
	}
	b.forget()
	return n, nil
}

// forget lets go of the packets.
func (b *burst) forget() {
	for i := range b.n {
		b.slots[i].vecs = [2]unix.Iovec{}
	}
	b.n = 0
}

// quick is how many messages are sent without telling the scheduler, which would look for the processor's next work meanwhile:
// sending them takes less than that.
const quick = 8

func sendmmsg(fd int, msgs []message) (int, unix.Errno) {
	call := unix.Syscall6
	if len(msgs) <= quick {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
