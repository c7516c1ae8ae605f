package ranks

import (
	"strings"
	"testing"
	"time"
)

// Two registries, as of two processes, know the same handles, by namespace and in the order of their opening; those that are closed
// stay for a while, and no longer.
func TestHandles(t *testing.T) {
	a, b := open(t), open(t)
	space := uint64(time.Now().UnixNano()) // one that nobody has
	var numbers []uint64
	for i := range 3 {
		h := &Handle{Space: space, Opened: int64(i + 1), Layer: 1, Priority: int16(-i), Flags: 5}
		h.SetObject(strings.Repeat("x", i))
		numbers = append(numbers, next(t, a, 0).Opening())
		before := b.Changes()
		if err := a.Announce(numbers[i], h); err != nil {
			t.Fatal(err)
		}
		if b.Changes() == before {
			t.Error("a change that is not counted")
		}
	}
	if err := a.Announce(next(t, a, 0).Opening(), &Handle{Space: space + 1, Closed: 1}); err != nil {
		t.Fatal(err)
	}
	all := b.Handles(space)
	if len(all) != 3 {
		t.Fatalf("%d handles, want 3", len(all))
	}
	for i := range all {
		h := &all[i]
		if h.Number != numbers[i] || h.Opened != int64(i+1) || h.Priority != int16(-i) || string(h.Object()) != strings.Repeat("x", i)+"\x00" {
			t.Errorf("handle %d: number %d, opened %d, priority %d, object %q", i, h.Number, h.Opened, h.Priority, h.Object())
		}
	}
	now := time.Now()
	for range 2 { // the second says nothing new
		if err := b.Withdraw(numbers[1], now); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Withdraw(1<<60, now); err != nil {
		t.Errorf("one that is not known: %v", err)
	}
	if all := a.Handles(space); len(all) != 3 || all[1].Closed != now.UnixNano() || all[0].Closed != 0 {
		t.Errorf("%d handles after one was closed", len(all))
	}
	a.purge(now.Add(closedFor + time.Second))
	if all := a.Handles(space); len(all) != 2 {
		t.Errorf("%d handles, want the two that are open", len(all))
	}
	for _, n := range []uint64{numbers[0], numbers[2]} {
		if err := a.Withdraw(n, now); err != nil {
			t.Error(err)
		}
	}
	a.purge(now.Add(closedFor + time.Second))
}

// A filter that is too long is not told of; the handle is.
func TestLongObject(t *testing.T) {
	var h Handle
	h.SetObject(strings.Repeat("x", ObjectMax))
	if len(h.Object()) != 0 {
		t.Errorf("%d bytes", len(h.Object()))
	}
	h.SetObject(strings.Repeat("x", ObjectMax-1))
	if n := len(h.Object()); n != ObjectMax || h.Object()[n-1] != 0 {
		t.Errorf("%d bytes", n)
	}
}

// A time that all processes read is that of the wall clock, which may be set: what was long ago is over, and what is to come too.
func TestOver(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for ago, want := range map[time.Duration]bool{
		0: false, closedFor: false, closedFor + 1: true, time.Hour: true,
		-closedFor: false, -closedFor - 1: true, -time.Hour: true,
	} {
		if over(now, now.Add(-ago).UnixNano(), closedFor) != want {
			t.Errorf("%v ago: %v", ago, !want)
		}
	}
}
