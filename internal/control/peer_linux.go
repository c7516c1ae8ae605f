package control

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// mayAsk says whether the other end is root or this user.
func mayAsk(c *net.UnixConn) (may bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		who, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		may = err == nil && (who.Uid == 0 || int(who.Uid) == os.Geteuid())
	})
	return err == nil && may
}
