package stack_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/divertdrv/reason"
)

// machine drives an engine and the model side by side.
type machine struct {
	model
	rig    *rig
	number int // of the last packet made
	holds  int
}

func (m *machine) next() int { m.number++; return m.number }

// handle draws one of the handles that ok accepts, or skips the action.
func (m *machine) handle(t *rapid.T, ok func(*modelHandle) bool) *modelHandle {
	var list []*modelHandle
	for _, h := range m.handles {
		if ok(h) {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		t.Skip("no such handle")
	}
	return rapid.SampledFrom(list).Draw(t, "handle")
}

func isOpen(h *modelHandle) bool { return !h.closed }

func (m *machine) Open(t *rapid.T) {
	h := &modelHandle{
		priority: rapid.IntRange(-1, 1).Draw(t, "priority"),
		age:      len(m.handles),
		filter:   rapid.SampledFrom([]string{"true", "true", "udp", "tcp", "false"}).Draw(t, "filter"),
		flags: rapid.SampledFrom([]divertdrv.Flags{
			0, 0, 0, 0, divertdrv.Sniff, divertdrv.DropAll, divertdrv.SendOnly, divertdrv.RecvOnly, divertdrv.Sniff | divertdrv.RecvOnly,
		}).Draw(t, "flags"),
		overload: rapid.SampledFrom([]divertdrv.Overload{
			divertdrv.OverloadShedOldest, divertdrv.OverloadOpen, divertdrv.OverloadClosed,
		}).Draw(t, "overload"),
	}
	h.real = m.rig.openWith(h.filter, divertdrv.Options{
		Priority: int16(h.priority), Flags: h.flags, Overload: h.overload,
	})
	if err := errors.Join(
		h.real.SetParam(addr.QueueLength, modelLength),
		h.real.SetParam(addr.QueueTime, uint64(modelTime/time.Millisecond)),
	); err != nil {
		t.Fatal(err)
	}
	m.handles = append(m.handles, h)
}

func (m *machine) Enter(t *rapid.T) {
	for range rapid.IntRange(1, 30).Draw(t, "packets") {
		n := m.next()
		err := m.rig.Enter(outbound(), packet(n))
		if m.ended {
			if !errors.Is(err, divertdrv.ErrShutdown) {
				t.Fatalf("Enter after End: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m.walk(nil, n)
	}
}

func (m *machine) Recv(t *rapid.T) {
	h := m.handle(t, func(h *modelHandle) bool {
		return h.closed || h.recvShut || m.fresh(h) || m.ended && !m.reachable(h) || h.is(divertdrv.SendOnly)
	})
	m.recvOne(t, h)
}

// recvOne receives a batch that there must be, or the end, which it reports.
func (m *machine) recvOne(t *rapid.T, h *modelHandle) (ended bool) {
	b := divertdrv.NewBatch(rapid.IntRange(1, 12).Draw(t, "size"), 1<<16)
	err := h.real.Recv(b)
	if want := m.recvError(h); want != nil {
		if !errors.Is(err, want) {
			t.Fatalf("Recv: %v, want %v", err, want)
		}
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	x := &modelBatch{real: b}
	for len(h.queue) > 0 && len(x.numbers) < cap(b.Packets()) {
		x.numbers = append(x.numbers, h.queue[0].n)
		h.queue = h.queue[1:]
	}
	x.held = make([]bool, len(x.numbers))
	h.stats.Received += uint64(len(x.numbers))
	h.stats.InBatch += uint64(len(x.numbers))
	h.batches = append(h.batches, x)
	if got := numbers(b); !slices.Equal(got, x.numbers) {
		t.Fatalf("received %v, want %v", got, x.numbers)
	}
	if b.Packets()[0].Addr.Sniffed() != h.is(divertdrv.Sniff) {
		t.Fatalf("Sniffed is %v", !h.is(divertdrv.Sniff))
	}
	m.hold(t, h, x)
	return false
}

// recvError expires what a Recv finds expired and says what it must return.
func (m *machine) recvError(h *modelHandle) error {
	switch {
	case h.closed:
		return divertdrv.ErrClosed
	case h.is(divertdrv.SendOnly):
		return divertdrv.ErrUnsupported
	}
	if m.expire(h); len(h.queue) > 0 {
		return nil
	}
	h.recvShut = true
	return divertdrv.ErrShutdown
}

// hold takes some packets out of a batch.
func (m *machine) hold(t *rapid.T, h *modelHandle, x *modelBatch) {
	for i := range x.numbers {
		if rapid.IntRange(0, 5).Draw(t, "hold") != 0 {
			continue
		}
		byDefault := divertdrv.Mark(rapid.IntRange(0, 1).Draw(t, "default"))
		after := time.Duration(rapid.IntRange(0, 200).Draw(t, "deadline")) * time.Millisecond
		hd, err := x.real.Hold(i, after, byDefault)
		if len(h.held) == modelHoldMax {
			if !errors.Is(err, divertdrv.ErrHoldFull) {
				t.Fatalf("Hold with %d held: %v", len(h.held), err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m.holds++
		held := &modelHeld{real: hd, owner: h, n: x.numbers[i], byDefault: byDefault, order: m.holds}
		if after > 0 {
			held.deadline = m.now + after
		}
		h.held = append(h.held, held)
		x.held[i] = true
		h.stats.InBatch--
		h.stats.Held++
	}
}

func (m *machine) Complete(t *rapid.T) {
	h := m.handle(t, func(h *modelHandle) bool { return len(h.batches) > 0 })
	m.completeOne(t, h, rapid.IntRange(0, len(h.batches)-1).Draw(t, "batch"))
}

func (m *machine) completeOne(t *rapid.T, h *modelHandle, i int) {
	x := h.batches[i]
	h.batches = slices.Delete(h.batches, i, i+1)
	var marks []divertdrv.Mark
	for i := range x.numbers {
		marks = append(marks, divertdrv.Mark(rapid.IntRange(0, 1).Draw(t, "mark")))
		if x.held[i] {
			continue
		}
		p := &x.real.Packets()[i]
		p.Set(marks[i], reason.Filter)
		if rapid.IntRange(0, 3).Draw(t, "change") == 0 {
			x.numbers[i] = m.next()
			data := packet(x.numbers[i])
			if err := p.Resize(len(data)); err != nil {
				t.Fatal(err)
			}
			copy(p.Edit(), data)
		}
	}
	if err := h.real.Complete(x.real); h.closed != errors.Is(err, divertdrv.ErrClosed) || !h.closed && err != nil {
		t.Fatalf("Complete: %v, closed: %v", err, h.closed)
	}
	for i, n := range x.numbers {
		if !x.held[i] {
			h.stats.InBatch--
			m.judge(h, n, marks[i], reason.Filter)
		}
	}
}

func (m *machine) Release(t *rapid.T) {
	h := m.handle(t, func(h *modelHandle) bool { return len(h.held) > 0 })
	m.releaseOne(t, rapid.SampledFrom(h.held).Draw(t, "held"))
}

func (m *machine) releaseOne(t *rapid.T, x *modelHeld) {
	mark := divertdrv.Mark(rapid.IntRange(0, 1).Draw(t, "mark"))
	_ = x.real.Release(mark, reason.Callout) // what it returns is tested elsewhere; here its effect is
	if err := x.real.Release(mark, 0); !errors.Is(err, divertdrv.ErrReleased) {
		t.Fatalf("released twice: %v", err)
	}
	m.release(x, mark, reason.Callout)
}

func (m *machine) Inject(t *rapid.T) {
	h := m.handle(t, func(*modelHandle) bool { return true })
	n := m.next()
	_, err := h.real.Inject(free(outbound(), packet(n)))
	h.stats.Injected++
	if h.closed || h.sendShut || h.is(divertdrv.RecvOnly) {
		h.stats.Failed++
		if err == nil {
			t.Fatal("Inject succeeded")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	h.stats.Completed++
	m.walk(h, n)
}

func (m *machine) Shutdown(t *rapid.T) {
	h := m.handle(t, isOpen)
	how := divertdrv.Shutdown(rapid.IntRange(1, 3).Draw(t, "how"))
	if err := h.real.Shutdown(how); err != nil {
		t.Fatal(err)
	}
	h.recvShut = h.recvShut || how&divertdrv.ShutdownRecv != 0
	h.sendShut = h.sendShut || how&divertdrv.ShutdownSend != 0
}

func (m *machine) Close(t *rapid.T) {
	h := m.handle(t, isOpen)
	if err := h.real.Close(); err != nil {
		t.Fatal(err)
	}
	m.close(h)
}

func (m *machine) Advance(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 6).Draw(t, "ms")) * 20 * time.Millisecond
	m.rig.clock.Advance(d)
	m.advance(d)
}

// Check compares everything that can be seen, after every action.
func (m *machine) Check(t *rapid.T) {
	if !slices.Equal(m.rig.left, m.left) {
		t.Fatalf("left:  %v\nwant: %v", m.rig.left, m.left)
	}
	for i, h := range m.handles {
		st := h.real.Stats()
		if err := st.Conserved(); err != nil {
			t.Fatalf("handle %d: %v", i, err)
		}
		if st != h.stats {
			t.Fatalf("handle %d:  %+v\nwant: %+v", i, st, h.stats)
		}
	}
}

// drain ends entering and reads every handle to its end, the highest first.
func (m *machine) drain(t *rapid.T) {
	m.rig.End()
	m.ended = true
	for _, h := range m.lower(nil) {
		for ended := false; !ended; {
			ended = m.recvOne(t, h)
			for len(h.batches) > 0 {
				m.completeOne(t, h, 0)
			}
			for len(h.held) > 0 {
				m.releaseOne(t, h.held[0])
			}
		}
		m.Check(t)
	}
}

// TestMachine opens handles, moves packets and ends things in random order; the model says what must come of it.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, func(c *stack.Config) { c.Caps.HoldMax = modelHoldMax })
		m := &machine{rig: r}
		m.Open(rt)
		actions := rapid.StateMachineActions(m)
		rt.Repeat(actions)
		rt.Repeat(actions)
		if rapid.Bool().Draw(rt, "end") {
			r.End()
			m.ended = true
			rt.Repeat(actions)
		}
		m.drain(rt)
	})
}
