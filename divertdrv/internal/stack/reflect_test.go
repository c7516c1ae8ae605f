package stack_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/divertdrv/reason"
)

const observes = divertdrv.Sniff | divertdrv.RecvOnly

// told receives the events that wait at h, which must be some.
func (r *rig) told(h *divertdrv.Handle) (addrs []divertdrv.Address, objects []string) {
	r.t.Helper()
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<20)
	if err := h.Recv(b); err != nil {
		r.t.Fatal(err)
	}
	for _, p := range b.Packets() {
		addrs, objects = append(addrs, *p.Addr), append(objects, string(p.Data))
	}
	r.complete(h, b, divertdrv.Pass)
	return addrs, objects
}

// windivert.md, sections 2, 3 and 1.8.
func TestReflectTellsOfHandles(t *testing.T) {
	r := newRig(t, func(c *stack.Config) { c.ProcessID = 77 })
	start := r.clock.Now().UnixNano()
	old := r.open("tcp", -5, divertdrv.DropAll)
	older := r.openAt("true", divertdrv.NetworkForward, divertdrv.Options{Priority: 9})
	r.clock.Advance(time.Second)
	watch := r.openAt("true", divertdrv.LayerReflect, divertdrv.Options{Flags: observes})
	r.openAt("true", divertdrv.LayerReflect, divertdrv.Options{Flags: observes, Priority: 5}) // invisible
	r.clock.Advance(time.Second)
	_ = older.Close()
	_ = older.Close()

	addrs, objects := r.told(watch)
	if want := []string{"@WinDiv_WX_eXWWAX\x00", "@WinDiv_WX_WWWWAA\x00", "@WinDiv_WX_WWWWAA\x00"}; !slices.Equal(objects, want) {
		t.Fatalf("objects %q, want %q", objects, want)
	}
	wantAddrs := []struct {
		event addr.Event
		at    time.Duration
		about addr.Reflect
	}{
		{addr.EventOpen, time.Second, addr.Reflect{Timestamp: start, ProcessID: 77, Layer: addr.Network, Flags: divertdrv.DropAll, Priority: -5}},
		{addr.EventOpen, time.Second, addr.Reflect{Timestamp: start, ProcessID: 77, Layer: addr.NetworkForward, Priority: 9}},
		{addr.EventClosed, 2 * time.Second, addr.Reflect{Timestamp: start, ProcessID: 77, Layer: addr.NetworkForward, Priority: 9}},
	}
	for i, want := range wantAddrs {
		a := addrs[i]
		if a.Layer() != addr.LayerReflect || a.Event() != want.event || a.Timestamp != start+int64(want.at) || a.Reflect() != want.about {
			t.Errorf("event %d: %v at %d, %+v", i, a.Event(), a.Timestamp-start, a.Reflect())
		}
		if !a.Sniffed() || a.Outbound() || a.Loopback() || a.Impostor() || a.IPv6() || a.IPChecksum() {
			t.Errorf("event %d: flags of %+v", i, a)
		}
	}
	// The object may be opened in place of the text.
	p, err := filter.Parse(objects[0][:len(objects[0])-1], old.Layer())
	if err != nil || p.Tests() != old.Filter().Tests() {
		t.Errorf("object %q: %v", objects[0], err)
	}
}

func TestReflectFilters(t *testing.T) {
	r := newRig(t)
	r.open("true", 3, 0)
	watch := r.openAt("event == OPEN and priority == 3 and processId == "+itoa(os.Getpid()),
		divertdrv.LayerReflect, divertdrv.Options{Flags: observes})
	r.open("true", 4, 0)
	_ = r.open("tcp", 3, 0).Close()
	if _, objects := r.told(watch); len(objects) != 2 || objects[0] == objects[1] {
		t.Errorf("told of %q", objects)
	}
}

// The process is told of is the opener's own unless the driver says otherwise; End does not lose what was told before.
func TestReflectEnds(t *testing.T) {
	r := newRig(t)
	h := r.open("true", 0, 0)
	watch := r.openAt("true", divertdrv.LayerReflect, divertdrv.Options{Flags: observes})
	if addrs, _ := r.told(watch); addrs[0].Reflect().ProcessID != uint32(os.Getpid()) {
		t.Errorf("process %d", addrs[0].Reflect().ProcessID)
	}
	done := r.blocked(watch)
	r.enter(1)
	r.End() // a packet waits: its reader may still open handles
	r.pass(h, 1)
	wantErr(t, done, divertdrv.ErrShutdown)

	r.Close()
	r.ended(watch, divertdrv.ErrClosed)
	if _, err := watch.Inject(free(outbound(), packet(1))); err == nil {
		t.Error("injected at REFLECT")
	}
}

func TestReflectQueueIsBounded(t *testing.T) {
	r := newRig(t)
	watch := r.openAt("true", divertdrv.LayerReflect, divertdrv.Options{Flags: observes})
	if err := watch.SetParam(addr.QueueLength, 32); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_ = r.open("true", 0, 0).Close()
	}
	if addrs, _ := r.told(watch); len(addrs) != 32 || addrs[31].Event() != addr.EventClosed {
		t.Errorf("%d events", len(addrs))
	}
	mustBe(t, "lost", watch.Stats().LostBy[reason.QueueLength], 8)
}
