package nfqdrv_test

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/internal/nettest"
)

// events collects what a handle at REFLECT is told.
func events(t *testing.T, h *divertdrv.Handle) <-chan divertdrv.Address {
	all := make(chan divertdrv.Address, 1000)
	over := start(t, h, func(p *divertdrv.Packet) { all <- *p.Addr })
	t.Cleanup(func() {
		_ = h.Close()
		<-over
	})
	return all
}

func next(t *testing.T, all <-chan divertdrv.Address, what addr.Event, process int) {
	t.Helper()
	select {
	case a := <-all:
		if r := a.Reflect(); a.Event() != what || r.ProcessID != uint32(process) {
			t.Errorf("%v of process %d, want %v of %d", a.Event(), r.ProcessID, what, process)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing is told, want %v of process %d", what, process)
	}
}

// REFLECT tells of handles of other processes, also of one that was killed, and not of those in other network namespaces.
func TestReflectOtherProcesses(t *testing.T) {
	b := newBench(t)
	watching := divertdrv.Options{Flags: divertdrv.Sniff | divertdrv.RecvOnly}
	all := events(t, openAt(t, b.driver, "priority == 7 or priority == 8", divertdrv.LayerReflect, watching))
	one := b.startChild(childPriority + "=7")
	next(t, all, addr.EventOpen, one.cmd.Process.Pid)
	openAt(t, driverIn(nettest.NewNamespace(t)), "false", divertdrv.Network, divertdrv.Options{Priority: 7})
	two := b.startChild(childPriority + "=8")
	next(t, all, addr.EventOpen, two.cmd.Process.Pid)
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = one.cmd.Wait() // killed
	next(t, all, addr.EventClosed, one.cmd.Process.Pid)
	late := events(t, openAt(t, b.driver, "priority == 7 or priority == 8", divertdrv.LayerReflect, watching))
	next(t, late, addr.EventOpen, two.cmd.Process.Pid) // and nothing of the first
	if err := two.in.Close(); err != nil { // it ends in order
		t.Fatal(err)
	}
	next(t, all, addr.EventClosed, two.cmd.Process.Pid)
	next(t, late, addr.EventClosed, two.cmd.Process.Pid)
	if len(all)+len(late) != 0 {
		t.Errorf("%d and %d events more", len(all), len(late))
	}
}
