package simdrv

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

func TestWinDivertQueuesAndCalls(t *testing.T) {
	runPoints(t, []point{
		{"4 params: defaults, bounds, and the version is read only", params},
		{"4 QueueSize: each packet counts 63 bytes more", sizeAccount},
		{"4 QueueSize: what would not fit into an empty queue is lost at once", neverFits},
		{"4 QueueTime: is lazy, and a minimum", lazyTime},
		{"4 QueueTime: what expired is lost at Close too, not passed", expiredAtClose},
		{"4 Drop: what matches never reaches a queue", dropped},
		{"4 Sniff: of a full queue only copies are lost", lostCopies},
		{"4 recv: returns with what there is, at most 255", batches},
		{"4 recv: what does not fit any more stays queued", nextBatch},
		{"4 recv: first packet larger than the buffer is cut and consumed", cutAndConsumed},
		{"4 recv: SEND_ONLY cannot, and takes nothing", sendOnly},
		{"4 recv: after Shutdown the queue can be read, then it is at its end; what comes later passes", shutdownRecv},
		{"4 send: RECV_ONLY cannot", recvOnlyCannot},
		{"4 send: none after Shutdown", shutdownSend},
		{"4 send: ends at what is no packet; those before it are in", notAPacket},
		{"4 send: a queue that sheds it is no error", shedIsNoError},
		{"4 shutdown: other numbers than 1, 2 and 3 are refused", shutdownHow},
		{"4 close: unread packets pass, copies do not, read ones are lost", closes},
	})
}

func params(t *testing.T) {
	h := newBench(t).open("true", 0, 0)
	for p, want := range map[divertdrv.Param][3]uint64{
		addr.QueueLength: {32, 4096, 16384}, addr.QueueTime: {100, 2000, 16000}, addr.QueueSize: {65535, 4194304, 33554432},
	} {
		if v, err := h.Param(p); err != nil || v != want[1] {
			t.Errorf("param %d is %d: %v", p, v, err)
		}
		for v, ok := range map[uint64]bool{want[0] - 1: false, want[0]: true, want[2]: true, want[2] + 1: false} {
			if err := h.SetParam(p, v); (err == nil) != ok || err != nil && !errors.Is(err, divertdrv.ErrInvalid) {
				t.Errorf("param %d to %d: %v", p, v, err)
			}
		}
	}
	for _, p := range []divertdrv.Param{addr.VersionMajor, addr.VersionMinor} {
		if v, err := h.Param(p); err != nil || v != 2 {
			t.Errorf("version %d: %v", v, err)
		}
		if err := h.SetParam(p, 3); !errors.Is(err, divertdrv.ErrInvalid) {
			t.Errorf("set version: %v", err)
		}
	}
}

func sizeAccount(t *testing.T) {
	for _, c := range []struct{ second, lost int }{{65_535 - 63 - 1000 - 63, 0}, {65_535 - 63 - 1000 - 63 + 1, 1}} {
		x := newBench(t, func(c *Config) { c.MTU = 65_535 })
		h := x.open("true", 0, 0)
		must(t, h.SetParam(addr.QueueSize, 65_535))
		must(t, x.Send(udp4(1000-28)))
		must(t, x.Send(udp4(c.second-28)))
		x.passAll(h, 2-c.lost)
		if st := h.Stats(); int(st.LostBy[reason.QueueSize]) != c.lost {
			t.Errorf("%d and 1000 bytes: lost %+v", c.second, st.LostBy)
		}
		settled(t, x.Stack, h)
	}
}

func neverFits(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	must(t, h.SetParam(addr.QueueSize, 65_535))
	must(t, x.Send(udp4(1)))
	must(t, x.Send(udp4(65_535-62-28)))
	x.passAll(h, 1) // the one that waited is none the worse
	if st := h.Stats(); st.LostBy[reason.QueueSize] != 1 {
		t.Errorf("lost %+v", st.LostBy)
	}
	x.left(1, 0)
}

func onClock(v *clock.Virtual) func(*Config) { return func(c *Config) { c.Clock = v } }

func lazyTime(t *testing.T) {
	v := clock.NewVirtual(pipeStart)
	x := newBench(t, onClock(v))
	h := x.open("true", 0, 0)
	must(t, h.SetParam(addr.QueueTime, 100))
	must(t, x.Send(udp4(1)))
	v.Advance(100 * time.Millisecond)
	must(t, x.Send(udp4(2)))
	v.Advance(time.Millisecond)
	if v.Pending() != 0 || h.Stats().Lost != 0 {
		t.Error("something watches the queue")
	}
	b := recv(t, h, 1)
	if n := len(b.Packets()[0].Data); n != 30 || h.Stats().LostBy[reason.QueueTime] != 1 {
		t.Errorf("a packet of %d bytes, lost %d", n, h.Stats().Lost)
	}
	pass(t, h, b)
}

func expiredAtClose(t *testing.T) {
	v := clock.NewVirtual(pipeStart)
	x := newBench(t, onClock(v))
	h := x.open("true", 0, 0)
	must(t, x.Send(udp4(1)))
	v.Advance(1500 * time.Millisecond)
	must(t, x.Send(udp4(2)))
	v.Advance(501 * time.Millisecond)
	must(t, h.Close())
	x.left(1, 0)
	if st := h.Stats(); st.LostBy[reason.QueueTime] != 1 || st.Received != 0 {
		t.Errorf("stats %+v", st)
	}
	settled(t, x.Stack, h)
}

func dropped(t *testing.T) {
	x := newBench(t)
	h := x.open("udp.PayloadLength == 1", 0, divertdrv.DropAll)
	must(t, x.Send(udp4(1)))
	must(t, x.Send(udp4(2)))
	x.left(1, 0)
	if st := h.Stats(); st.Dropped[reason.DropHandle] != 1 || st.Received != 1 {
		t.Errorf("stats %+v", st)
	}
	settled(t, x.Stack, h)
}

func lostCopies(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, divertdrv.Sniff)
	must(t, h.SetParam(addr.QueueLength, 32))
	for range 40 {
		must(t, x.Send(udp4(1)))
	}
	x.left(40, 0)
	x.passAll(h, 32)
	x.left(40, 0)
	if st := h.Stats(); st.LostBy[reason.QueueLength] != 8 {
		t.Errorf("lost %+v", st.LostBy)
	}
}

func batches(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	b := divertdrv.NewBatch(1000, 1<<20)
	for _, c := range []struct{ send, want int }{{1, 1}, {300, 255}, {0, 45}} {
		for range c.send {
			must(t, x.Send(udp4(1)))
		}
		if err := h.Recv(b); err != nil || b.Len() != c.want {
			t.Errorf("%d packets, want %d: %v", b.Len(), c.want, err)
		}
		pass(t, h, b)
	}
}

func nextBatch(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	for n := range 3 {
		must(t, x.Send(udp4(100+n)))
	}
	b := divertdrv.NewBatch(8, 300)
	for _, want := range []int{2, 1} {
		if err := h.Recv(b); err != nil || b.Len() != want {
			t.Errorf("%d packets, want %d: %v", b.Len(), want, err)
		}
		pass(t, h, b)
	}
	x.left(3, 0)
}

func cutAndConsumed(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	must(t, x.Send(udp4(200)))
	must(t, x.Send(udp4(1)))
	b := divertdrv.NewBatch(8, 104)
	must(t, h.Recv(b))
	if p := b.Packets()[0]; b.Len() != 1 || len(p.Data) != 104 || !bytes.Equal(p.Data, udp4(200)[:104]) {
		t.Errorf("%d packets, %d bytes", b.Len(), len(p.Data))
	}
	pass(t, h, b) // its end is missing: it cannot go on
	must(t, h.Recv(b))
	pass(t, h, b)
	if st := h.Stats(); st.Dropped[reason.Malformed] != 1 || st.Passed != 1 {
		t.Errorf("stats %+v", st)
	}
	x.left(1, 0)
	settled(t, x.Stack, h)
}

func sendOnly(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, divertdrv.SendOnly)
	must(t, x.Send(udp4(1)))
	x.left(1, 0)
	if err := h.Recv(divertdrv.NewBatch(1, 100)); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("Recv: %v", err)
	}
	_, err := h.Inject(outgoing(udp4(1), true))
	must(t, err)
	x.left(2, 0)
}

func shutdownRecv(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	must(t, x.Send(udp4(1)))
	must(t, h.Shutdown(divertdrv.ShutdownRecv))
	must(t, x.Send(udp4(2)))
	x.left(1, 0)
	x.passAll(h, 1)
	x.left(2, 0)
	if err := h.Recv(divertdrv.NewBatch(1, 100)); !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("Recv: %v", err)
	}
	_, err := h.Inject(outgoing(udp4(1), true)) // sending goes on
	must(t, err)
}

func recvOnlyCannot(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, divertdrv.RecvOnly)
	must(t, x.Send(udp4(1)))
	b := recv(t, h, 1)
	b.Packets()[0].Set(divertdrv.Pass, 0)
	must(t, h.Complete(b))
	if _, err := h.Inject(outgoing(udp4(1), true)); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("Inject: %v", err)
	}
	if st := h.Stats(); st.Passed != 0 || st.DroppedTotal() != 1 {
		t.Errorf("stats %+v", st)
	}
	x.left(0, 0)
}

func shutdownSend(t *testing.T) {
	x := newBench(t)
	h := x.open("true", 0, 0)
	must(t, x.Send(udp4(1)))
	b := recv(t, h, 1)
	must(t, h.Shutdown(divertdrv.ShutdownSend))
	b.Packets()[0].Set(divertdrv.Pass, 0)
	must(t, h.Complete(b))
	if _, err := h.Inject(outgoing(udp4(1), true)); !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("Inject: %v", err)
	}
	if st := h.Stats(); st.Dropped[reason.Shutdown] != 1 {
		t.Errorf("stats %+v", st)
	}
	must(t, x.Send(udp4(1))) // receiving goes on
	must(t, h.Complete(recv(t, h, 1)))
	x.left(0, 0)
}

func notAPacket(t *testing.T) {
	for what, bad := range map[string][]byte{
		"19 bytes": udp4(1)[:19], "no version": make([]byte, 40), "39 bytes of IPv6": udp6(1)[:39], "cut": udp4(9)[:30], "nothing": {},
	} {
		x := newBench(t)
		h := x.open("false", 0, 0)
		all := append(append(outgoing(udp4(1), true), outgoing(bytes.Clone(bad), true)...), outgoing(udp4(1), true)...)
		if n, err := h.Inject(all); n != 1 || !errors.Is(err, divertdrv.ErrMalformed) {
			t.Errorf("%s: %d went in, %v", what, n, err)
		}
		x.left(1, 0)
	}
}

func shedIsNoError(t *testing.T) {
	x := newBench(t)
	h, low := x.open("false", 0, 0), x.open("true", -1, 0)
	must(t, low.SetParam(addr.QueueLength, 32))
	for range 33 {
		_, err := h.Inject(outgoing(udp4(1), true))
		must(t, err)
	}
	if st := h.Stats(); st.Completed != 33 || low.Stats().Lost != 1 {
		t.Errorf("completed %d, lost %d", st.Completed, low.Stats().Lost)
	}
	x.passAll(low, 32)
	settled(t, x.Stack, h, low)
}

func shutdownHow(t *testing.T) {
	h := newBench(t).open("true", 0, 0)
	for how, ok := range map[divertdrv.Shutdown]bool{0: false, 4: false, 255: false, 1: true, 2: true, 3: true} {
		if err := h.Shutdown(how); (err == nil) != ok || err != nil && !errors.Is(err, divertdrv.ErrInvalid) {
			t.Errorf("Shutdown(%d): %v", how, err)
		}
	}
}

func closes(t *testing.T) {
	x := newBench(t)
	copies, h := x.open("true", 1, divertdrv.Sniff), x.open("true", 0, 0)
	must(t, x.Send(udp4(1)))
	b := recv(t, h, 1)
	must(t, x.Send(udp4(2)))
	must(t, copies.Close())
	x.left(0, 0)
	must(t, h.Close())
	x.left(1, 0)
	b.Packets()[0].Set(divertdrv.Pass, 0)
	if err := h.Complete(b); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Complete: %v", err)
	}
	x.left(1, 0)
	if st := h.Stats(); st.Dropped[reason.Abandoned] != 1 || copies.Stats().LostBy[reason.Abandoned] != 2 {
		t.Errorf("stats %+v, copies %+v", st, copies.Stats())
	}
	settled(t, x.Stack, h, copies)
}
