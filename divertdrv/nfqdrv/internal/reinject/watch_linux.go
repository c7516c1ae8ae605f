package reinject

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// watch tells whether interfaces or routes changed since it was last asked. The kernel tells its netlink socket before whoever made
// the change sees it done, so what is remembered is as true as what would be asked for now.
type watch struct{ fd int }

func newWatch(routes bool) (watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return watch{-1}, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: group(unix.RTNLGRP_LINK)}); err != nil {
		_ = unix.Close(fd)
		return watch{-1}, fmt.Errorf("watch interfaces: %w", err)
	}
	if routes {
		for _, g := range [...]int{
			unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
			unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
		} {
			if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
				_ = unix.Close(fd)
				return watch{-1}, fmt.Errorf("watch routes: %w", err)
			}
		}
	}
	return watch{fd}, nil
}

func group(g int) uint32 { return 1 << (g - 1) }

// changed empties the socket; what the messages say does not matter. It does not wait.
func (w watch) changed() bool {
	for some := false; ; some = true {
		_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(w.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 && errno != unix.EINTR && errno != unix.ENOBUFS { // ENOBUFS: more changed than it could keep
			return some
		}
	}
}

func (w watch) close() error {
	if w.fd < 0 {
		return nil
	}
	return unix.Close(w.fd)
}
