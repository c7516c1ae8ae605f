// Package netns makes network namespaces and runs code in them. A namespace is named by an open file descriptor; it lives as
// long as a descriptor, a socket or a process of it does. Linux only.
package netns

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

const own = "/proc/thread-self/ns/net" // setns and unshare change a thread, not the process

// Current opens the namespace of the calling thread. The caller closes the descriptor.
func Current() (fd int, err error) { return open(own) }

// New makes an empty namespace: a loopback device that is down, and default sysctls. The caller closes the descriptor.
// It needs CAP_SYS_ADMIN.
func New() (fd int, err error) {
	err = aside(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netns: unshare (needs CAP_SYS_ADMIN): %w", err)
		}
		fd, err = open(own)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// Do runs f on a thread inside the namespace and returns what f returns. Sockets and programs that f opens belong to that
// namespace for good, goroutines that f starts do not. f runs on the caller's goroutine, so it may panic or end a test.
// It needs CAP_SYS_ADMIN, unless the caller is there already.
func Do(fd int, f func() error) error {
	return aside(func() error {
		if here(fd) {
			return f()
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netns: enter (needs CAP_SYS_ADMIN): %w", err)
		}
		return f()
	})
}

// aside runs f on a thread that may change its namespace and brings the thread home afterwards. A thread that cannot be brought
// home stays locked, so that it ends with its goroutine and never runs anybody else's code.
func aside(f func() error) error {
	runtime.LockOSThread()
	home, err := Current()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if here(home) || unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		_ = unix.Close(home)
	}()
	return f()
}

// here reports whether the calling thread is in the namespace.
func here(fd int) bool {
	var there, at unix.Stat_t
	return unix.Fstat(fd, &there) == nil && unix.Stat(own, &at) == nil && there.Dev == at.Dev && there.Ino == at.Ino
}

func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR:
		default:
			return -1, fmt.Errorf("netns: open %s: %w", path, err)
		}
	}
}
