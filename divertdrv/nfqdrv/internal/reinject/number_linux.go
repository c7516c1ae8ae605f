package reinject

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/netlink"
)

// numbersMax bounds the processes that inject inbound in one namespace.
const numbersMax = 256

// Inlets are numbered. Who holds a number is told by an abstract Unix socket, which belongs to the namespace as the device does, is
// seen from every pid namespace, and ends with its process. So a device whose number is free was left by a process that is dead.

func inletName(no int) string { return fmt.Sprintf("weir%d", no) }

// inletAddress tells a device of ours from one that somebody else named so: local, unicast, "weir".
func inletAddress(no int) [6]byte { return [6]byte{0x02, 'w', 'e', 'i', 'r', byte(no)} }

// takeNumber takes the lowest number that is free, keeps it until c is closed, and removes what its last holder left.
func takeNumber(conn *netlink.Conn, c *closers) (int, error) {
	for no := range numbersMax {
		fd, err := lockNumber(no)
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		free, err := clearNumber(conn, no)
		if free && err == nil {
			c.add(func() error { return unix.Close(fd) })
			return no, nil
		}
		_ = unix.Close(fd)
		if err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: %d inlets in this namespace, or devices named like them: remove some", divertdrv.ErrInvalid, numbersMax)
}

func lockNumber(no int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket that holds the inlet's number: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@weir/inlet/%d", no)}); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("hold the inlet's number: %w", err)
	}
	return fd, nil
}

// clearNumber removes a device that a dead process left, and reports whether the name is free.
func clearNumber(conn *netlink.Conn, no int) (bool, error) {
	d, err := findLink(conn, inletName(no))
	switch {
	case errors.Is(err, unix.ENODEV):
		return true, nil
	case err != nil:
		return false, err
	case d.kind != "veth" || d.address != inletAddress(no):
		return false, nil
	}
	return true, deleteLink(conn, d.index)
}
