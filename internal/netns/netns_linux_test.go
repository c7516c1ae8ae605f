package netns

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// at is the namespace of the calling thread.
func at(t *testing.T) uint64 {
	t.Helper()
	fd, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	return inode(t, fd)
}

func TestDo(t *testing.T) {
	needRoot(t)
	home := at(t)
	ns, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(ns) }()
	there := inode(t, ns)
	if there == home {
		t.Fatal("the new namespace is the old one")
	}
	want := errors.New("its own")
	err = Do(ns, func() error {
		if at(t) != there {
			t.Error("not inside")
		}
		return Do(ns, func() error { return want })
	})
	if !errors.Is(err, want) {
		t.Fatalf("%v", err)
	}
	if at(t) != home {
		t.Fatal("not home again")
	}
}

// Who may not move may stay.
func TestDoWithoutRightsWhereItIs(t *testing.T) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- func() error {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&head, &none[0]); err != nil {
				return err
			}
			fd, err := Current()
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			return Do(fd, func() error { return nil })
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestDoComesHomeFromPanic(t *testing.T) {
	needRoot(t)
	home := at(t)
	ns, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(ns) }()
	func() {
		defer func() { _ = recover() }()
		_ = Do(ns, func() error { panic("inside") })
	}()
	if at(t) != home {
		t.Fatal("not home again")
	}
}

func TestDoRefusesWhatIsNoNamespace(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ran := false
	if err := Do(int(f.Fd()), func() error { ran = true; return nil }); err == nil || ran {
		t.Fatalf("ran %v, %v", ran, err)
	}
}

// needRoot is nettest.Need, which stands above this room.
func needRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("not root, and CI=true says that this must run")
	default:
		t.Skip("not root: namespaces cannot be made")
	}
}
