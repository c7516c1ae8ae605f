//go:build !windows

package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// Listen listens on a unix socket that only this user can open, in a folder that it makes, for this user only, if there is none. A
// socket that was left behind is replaced; ErrTaken: somebody listens on it.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := vacate(path); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// vacate removes a socket that nobody listens on any more. Whatever else is there stays.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return errors.New("there is something else; name another path with --control")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		return errors.Join(ErrTaken, c.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return err
}

var listens atomic.Uint32

// listen binds a name beside the path, closes it to others, and only then gives it its name, if nobody has it: so nobody can
// connect before, and of two that start at the same time one gets it. Linux
// takes the socket's own mode for the file's; elsewhere the umask is what holds until chmod.
func listen(path string) (net.Listener, error) {
	made := fmt.Sprintf("%s.%d.%d", path, os.Getpid(), listens.Add(1))
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.Fchmod(int(fd), 0o600) // Linux only; chmod below is for all
		})
	}}
	l, err := lc.Listen(context.Background(), "unix", made)
	if err != nil {
		return nil, err
	}
	u := l.(*net.UnixListener)
	u.SetUnlinkOnClose(false)
	err = os.Chmod(made, 0o600)
	if err == nil {
		if err = os.Link(made, path); errors.Is(err, fs.ErrExist) {
			err = ErrTaken // by somebody who was faster
		}
	}
	info, statErr := os.Lstat(made)
	if err = errors.Join(err, statErr, os.Remove(made)); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return &owned{u, path, info}, nil
}

// owned removes its socket when it is closed, and lets none but this user and root in, whatever became of the file's mode.
type owned struct {
	*net.UnixListener
	path string
	file os.FileInfo
}

func (o *owned) Accept() (net.Conn, error) {
	for {
		c, err := o.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if mayAsk(c) {
			return c, nil
		}
		_ = c.Close() // of somebody who has no business here
	}
}

func (o *owned) Close() error {
	err := o.UnixListener.Close()
	if info, gone := os.Lstat(o.path); gone == nil && os.SameFile(info, o.file) {
		err = errors.Join(err, os.Remove(o.path))
	}
	return err
}
