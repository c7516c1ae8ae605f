//go:build !windows

package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// place is where a test listens. Paths of sockets are short.
func place(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "own", "control.sock")
}

// Nobody but this user can open the socket, whatever the umask, and nothing is left when it is closed.
func TestSocketIsClosedToOthers(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := place(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v, folder %v", err, dir.Mode())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("%v, left %v", err, left)
	}
}

// One that somebody listens on is theirs; one that was left behind is replaced; what is no socket stays.
func TestSocketIsTaken(t *testing.T) {
	path := place(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrTaken) {
		t.Errorf("%v, want ErrTaken", err)
	}
	l.(*owned).UnixListener.Close() // as after kill -9
	if l, err = Listen(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("a file was replaced")
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Error("the file is gone")
	}
}

// Of those that start at the same time one listens, and closing the others does not take its socket away.
func TestSocketIsOnes(t *testing.T) {
	path := place(t)
	var won atomic.Int32
	var listeners [8]net.Listener
	var all sync.WaitGroup
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range listeners {
		all.Go(func() {
			if l, err := listen(path); err == nil {
				listeners[i] = l
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d listen", won.Load())
	}
	for _, l := range listeners {
		if l != nil {
			_ = l.Close()
		}
	}
}
