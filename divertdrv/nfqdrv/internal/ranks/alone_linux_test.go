package ranks

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// openWithout opens on a thread that lacks capabilities.
func openWithout(t *testing.T, lacks ...int) (r *Registry, err error) {
	t.Helper()
	nettest.Need(t, nettest.Root)
	// The eBPF library asks the kernel once, when it makes its first map, whether maps can have names; asked without rights the
	// answer would be no for good. Open would not do: it makes no map while another process has one.
	spec := tableSpec
	spec.Name = "weir_named"
	named, err := newMap(&spec)
	if err != nil || named.Close() != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&head, &data[0])
		for _, c := range lacks {
			data[c/32].Effective &^= 1 << (c % 32)
		}
		if err == nil {
			err = unix.Capset(&head, &data[0])
		}
		if err == nil {
			r, err = Open()
		}
		done <- err
	}()
	return r, <-done
}

// Without CAP_SYS_ADMIN a process has ranks of its own, the same for all its registries, and says so.
func TestAlone(t *testing.T) {
	a, err := openWithout(t, unix.CAP_SYS_ADMIN)
	if err != nil {
		t.Fatal(err)
	}
	b, err := openWithout(t, unix.CAP_SYS_ADMIN)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Alone() || !b.Alone() {
		t.Fatal("it says that it knows others")
	}
	if one, two := next(t, a, 5), next(t, b, 5); one.Opening() != 1 || two.Opening() != 2 {
		t.Fatalf("%v, then %v", one, two)
	}
	send, recv := socketpair(t)
	cookie, err := unix.GetsockoptUint64(recv, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		t.Fatal(err)
	}
	rank := next(t, a, 0)
	if err := a.Add(cookie, rank); err != nil {
		t.Fatal(err)
	}
	if passes(t, send, recv, load(t, b, SocketKey(), rank)) {
		t.Error("one registry does not know what the other added")
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if alone.users != 0 || len(alone.maps) != 0 {
		t.Errorf("%d users, %d maps are left", alone.users, len(alone.maps))
	}
	if r := open(t); r.Alone() {
		t.Error("with all capabilities it is alone")
	}
}

func TestWithoutBPF(t *testing.T) {
	if _, err := openWithout(t, unix.CAP_SYS_ADMIN, unix.CAP_BPF); !errors.Is(err, divertdrv.ErrAccess) {
		t.Errorf("%v", err)
	}
	if alone.users != 0 || len(alone.maps) != 0 {
		t.Errorf("%d users, %d maps are left", alone.users, len(alone.maps))
	}
}
