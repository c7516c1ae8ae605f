package nfqueue

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netns"
)

// Bounds of sockets.
const (
	socketMemory = 16 << 20 // bytes, either way
	burstMax     = 32       // datagrams in one system call
)

// udpSocket opens a socket in a namespace, bound to an address; the caller closes it. Receiving waits at most waitMicros.
func udpSocket(ns int, at netip.AddrPort, waitMicros int64) (fd int, err error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	err = netns.Do(ns, func() error {
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("UDP socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // its error is the one that counts
		}
	}()
	for _, opt := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, socketMemory); err != nil {
			return -1, fmt.Errorf("memory of a UDP socket: %w", err)
		}
	}
	wait := unix.NsecToTimeval(waitMicros * 1000)
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return -1, fmt.Errorf("time limit of a UDP socket: %w", err)
	}
	if err = unix.Bind(fd, sockaddr(at)); err != nil {
		return -1, fmt.Errorf("bind a UDP socket to %v: %w", at, err)
	}
	return fd, nil
}

func connect(fd int, to netip.AddrPort) error {
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return fmt.Errorf("connect a UDP socket to %v: %w", to, err)
	}
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// burst is memory for datagrams of one size that are sent or received by one system call. It must not be copied.
type burst struct {
	data    [burstMax][payloadLen]byte
	vectors [burstMax]unix.Iovec
	msgs    [burstMax]mmsghdr
}

func newBurst() *burst {
	b := new(burst)
	for i := range b.msgs {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(payloadLen)
		b.msgs[i].hdr.Iov = &b.vectors[i]
		b.msgs[i].hdr.SetIovlen(1)
	}
	return b
}

// send sends the first n datagrams and returns how many went.
func (b *burst) send(fd, n int) (int, error) {
	return b.call(unix.SYS_SENDMMSG, fd, n, 0)
}

// receive receives some datagrams; 0: there were none, or none in the socket's time.
func (b *burst) receive(fd int, wait bool) (int, error) {
	flags := uintptr(unix.MSG_DONTWAIT)
	if wait {
		flags = unix.MSG_WAITFORONE
	}
	return b.call(unix.SYS_RECVMMSG, fd, burstMax, flags)
}

func (b *burst) call(trap uintptr, fd, n int, flags uintptr) (int, error) {
	for {
		got, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[0])), uintptr(n), flags, 0, 0)
		switch errno {
		case 0:
			return int(got), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, errno
		}
	}
}
