package reinject

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
)

// ErrBusy: a bounded queue of the kernel has no room now: the socket's send buffer, because packets wait in the queues of lower
// handles, or the receive queue of this processor. Nothing waits here, since the caller may be whom those queues wait for.
var ErrBusy = errors.New("no room in the kernel's queue now")

// The kernel's refusals, made once: an error a packet must not cost memory.
var (
	errMTU         = fmt.Errorf("%w: longer than the MTU of the interface it leaves by", divertdrv.ErrTooBig)
	errFrame       = fmt.Errorf("%w: over %d bytes, which no interface receives", divertdrv.ErrTooBig, inletMTU)
	errSendBuffer  = fmt.Errorf("%w: send buffer full", ErrBusy)
	errReceive     = fmt.Errorf("%w: receive queue full, or the interface went away", ErrBusy)
	errNoRoute     = fmt.Errorf("%w: no route", divertdrv.ErrUnreachable)
	errProhibited  = fmt.Errorf("%w: prohibited by a route", divertdrv.ErrUnreachable)
	errAddresses   = fmt.Errorf("%w: the stack takes no packet with these addresses, or a blackhole route swallows it", divertdrv.ErrInvalid)
	errNoInterface = fmt.Errorf("%w: the Address names no interface of this namespace", divertdrv.ErrInvalid)
	errDown        = fmt.Errorf("%w: the interface is down", divertdrv.ErrUnreachable)
	errLoopback    = fmt.Errorf("%w: the loopback device receives only what was sent on it: inject outbound", divertdrv.ErrUnreachable)
	errKind        = fmt.Errorf("%w: inbound injection on an interface with link addresses that are not Ethernet's", divertdrv.ErrUnsupported)
	errInlet       = fmt.Errorf("%w: somebody removed our device for inbound injection, or set it down", divertdrv.ErrUnreachable)
	errNoInbound   = fmt.Errorf("%w: opened without Config.Inbound", divertdrv.ErrUnsupported)
	errNoAddress   = fmt.Errorf("%w: a packet without an Address", divertdrv.ErrInvalid)
	errNoIPv6      = fmt.Errorf("%w: this kernel has no IPv6", divertdrv.ErrUnsupported)
)

// refused says in our words what sendmsg said. EPERM is not among them: see burst.
func refused(way way, errno unix.Errno) error {
	if way == byFrame {
		return refusedFrame(errno)
	}
	switch errno {
	case unix.EMSGSIZE:
		return errMTU
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
		return errSendBuffer
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EADDRNOTAVAIL:
		return errNoRoute
	case unix.ENETDOWN:
		return errDown
	case unix.EACCES:
		return errProhibited
	case unix.EINVAL:
		return errAddresses
	case unix.ENODEV, unix.ENXIO:
		return errNoInterface
	}
	return fmt.Errorf("send: %w", errno)
}

func refusedFrame(errno unix.Errno) error {
	switch errno {
	case unix.EAGAIN:
		return errSendBuffer
	case unix.ENOBUFS, unix.ENOMEM:
		return errReceive
	case unix.ENXIO, unix.ENODEV, unix.ENETDOWN:
		return errInlet
	}
	return fmt.Errorf("send a frame: %w", errno)
}

// opening says in our words why something could not be opened; what says what needs which capability.
func opening(what string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%s: %w (%w)", what, divertdrv.ErrAccess, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
