package stack_test

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// Ready says what a Recv would do without doing it.
func TestReady(t *testing.T) {
	r := newRig(t)
	open := func(flags divertdrv.Flags) divertdrv.Conn {
		prog, err := filter.Parse("true", divertdrv.Network)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Stack.Open(prog, divertdrv.Network, &divertdrv.Options{Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	wants := func(c divertdrv.Conn, want bool, when string) {
		t.Helper()
		if got := c.(interface{ Ready() bool }).Ready(); got != want {
			t.Errorf("%s: Ready is %v", when, got)
		}
	}
	c := open(0)
	wants(c, false, "nothing came")
	r.enter(1)
	wants(c, true, "a packet waits")
	r.clock.Advance(time.Minute)
	wants(c, false, "it waited too long")
	wants(open(divertdrv.SendOnly), true, "a handle that does not receive")
	r.enter(2)
	if err := c.Shutdown(divertdrv.ShutdownRecv); err != nil {
		t.Fatal(err)
	}
	wants(c, true, "shut down, with a packet")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wants(c, true, "closed")
	d := open(0)
	wants(d, false, "nothing came, again")
	r.End()
	wants(d, true, "nothing can come any more")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
