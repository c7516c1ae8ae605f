package stack_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/stack"
)

func TestSourceFillsBatches(t *testing.T) {
	r := newRig(t, withSource(600, true))
	h := r.open("true", 0, 0)
	all := upTo(600)
	r.pass(h, all[:255]...)
	r.pass(h, all[255:510]...)
	r.pass(h, all[510:]...)
	r.ended(h, divertdrv.ErrShutdown)
	r.hasLeft(all...)
	mustBe(t, "entered", r.Stats().Entered, 600)
	mustBe(t, "left", r.Stats().Left, 600)
}

// A source that may wait gives what it has at once.
func TestSourceThatMayWaitGivesOne(t *testing.T) {
	r := newRig(t, withSource(3, false))
	h := r.open("udp", 0, 0)
	r.pass(h, 2)
	r.hasLeft(1, 2)
	r.ended(h, divertdrv.ErrShutdown)
	r.hasLeft(1, 2, 3)
}

func TestSourceFillsByBytesToo(t *testing.T) {
	r := newRig(t, withSource(5, true))
	h := r.open("true", 0, 0)
	var got []int
	for {
		b := divertdrv.NewBatch(64, 80) // two of 32 and 44 bytes, aligned to 8
		if err := h.Recv(b); err != nil {
			break
		}
		if b.Len() > 2 {
			t.Fatalf("%d packets in 80 bytes", b.Len())
		}
		got = append(got, numbers(b)...)
		r.complete(h, b, divertdrv.Pass)
	}
	if !slices.Equal(got, upTo(5)) {
		t.Errorf("got %v", got)
	}
	r.hasLeft(upTo(5)...)
}

// What a handle passes waits at the lower one, more than its queue takes if it must: nothing is shed, and pulling waits.
func TestSourceIsNeverShed(t *testing.T) {
	r := newRig(t, withSource(200, true))
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	setParam(t, low, addr.QueueLength, 32)
	all := upTo(200)
	b1, b2 := divertdrv.NewBatch(40, 1<<16), divertdrv.NewBatch(40, 1<<16)
	for _, b := range []*divertdrv.Batch{b1, b2} {
		if err := high.Recv(b); err != nil {
			t.Fatal(err)
		}
	}
	r.complete(high, b1, divertdrv.Pass) // 40 packets in a queue of 32
	r.complete(high, b2, divertdrv.Pass)
	mustBe(t, "lost", low.Stats().Lost, 0)

	got := make(chan []int)
	go func() { // pulling waits for room below
		b := divertdrv.NewBatch(40, 1<<16)
		if err := high.Recv(b); err != nil {
			t.Error(err)
		}
		n := numbers(b)
		r.complete(high, b, divertdrv.Drop)
		got <- n
	}()
	select {
	case <-got:
		t.Fatal("the source was pulled although a queue was full")
	case <-time.After(20 * time.Millisecond):
	}
	r.pass(low, all[:80]...)
	if g := <-got; !slices.Equal(g, all[80:120]) {
		t.Errorf("after there was room: %v", g)
	}
	r.clock.Advance(time.Hour) // nor does the time limit hold for them
	mustBe(t, "lost", high.Stats().Lost+low.Stats().Lost, 0)
}

// A packet that entered otherwise is lost rather than one of the source.
func TestEnteredPacketYieldsToTheSource(t *testing.T) {
	r := newRig(t, withSource(40, true))
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	setParam(t, low, addr.QueueLength, 32)
	r.pass(high, upTo(40)...)
	if _, err := high.Inject(free(outbound(), packet(99))); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "lost", low.Stats().Lost, 1)
	r.pass(low, upTo(40)...)
}

func TestSourceErrorReachesEveryRecv(t *testing.T) {
	broken := errors.New("offset 1234: record of 70000 bytes")
	r := newRig(t, func(c *stack.Config) { c.Source, c.Prompt = &list{n: 2, end: broken}, true })
	low, high := r.open("true", 0, 0), r.open("true", 1, 0)
	r.pass(high, 1, 2)
	r.ended(high, broken)
	r.ended(high, broken)
	r.pass(low, 1, 2)
	r.ended(low, broken)
	r.hasLeft(1, 2)
}

func TestSourceOfAnotherLayerIsAnError(t *testing.T) {
	r := newRig(t, func(c *stack.Config) { c.Source, c.Prompt = flowSource{}, true })
	r.ended(r.open("true", 0, 0), divertdrv.ErrUnsupported)
}

type flowSource struct{}

func (flowSource) Next() (*divertdrv.Address, []byte, error) {
	a := outbound()
	a.SetLayer(addr.LayerFlow, addr.EventEstablished)
	return a, nil, nil
}

// A handle that nothing matches must not keep the lock while it reads an endless source.
func TestPullingLetsOthersIn(t *testing.T) {
	r := newRig(t, withSource(1<<40, true), func(c *stack.Config) { c.Sink = nil })
	h := r.open("false", 0, 0)
	done := make(chan error)
	go func() { done <- h.Recv(divertdrv.NewBatch(8, 1<<16)) }()
	for r.Stats().Entered < 1000 {
		time.Sleep(time.Millisecond)
	}
	_ = h.Shutdown(divertdrv.ShutdownRecv)
	if err := <-done; !errors.Is(err, divertdrv.ErrShutdown) {
		t.Error(err)
	}
}

// Two handles on one source: whoever is idle pulls, and each gets what is its own.
func TestTwoReadersOfOneSource(t *testing.T) {
	for _, prompt := range []bool{true, false} {
		r := newRig(t, withSource(2000, prompt))
		udp, tcp := r.open("udp", 0, 0), r.open("tcp", 0, 0)
		counts := make(chan int)
		for _, h := range []*divertdrv.Handle{udp, tcp} {
			go func() {
				n := 0
				for b := divertdrv.NewBatch(16, 1<<16); h.Recv(b) == nil; {
					n += b.Len()
					r.complete(h, b, divertdrv.Pass)
				}
				counts <- n
			}()
		}
		if a, b := <-counts, <-counts; a != 1000 || b != 1000 {
			t.Errorf("prompt %v: %d and %d packets", prompt, a, b)
		}
		if slices.Sort(r.left); !slices.Equal(r.left, upTo(2000)) {
			t.Error("not every packet left once")
		}
	}
}

// End is said while a Recv is at the source: what it brings still goes its way, and nobody below ends before.
func TestEndWhileSourceWaits(t *testing.T) {
	src := &list{n: 2, wait: make(chan struct{})}
	r := newRig(t, func(c *stack.Config) { c.Source = src })
	high, low := r.open("false", 1, 0), r.open("true", 0, 0)
	pulls := r.blocked(high)
	r.End()
	waits := r.blocked(low)
	src.wait <- struct{}{}
	wantErr(t, pulls, divertdrv.ErrShutdown)
	wantErr(t, waits, nil)
	r.ended(low, divertdrv.ErrShutdown)
	r.hasLeft(1)
}

// What the Sink sends at the end of the source keeps its order: behind a packet that waits, none goes into the batch.
func TestBatchIsFilledInOrder(t *testing.T) {
	r := newRig(t, withSource(2, true))
	h := r.open("udp", 0, 0)
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		if number(data) != 1 {
			return nil
		}
		return errors.Join(r.Enter(outbound(), packetOf(10, 200)), r.Enter(outbound(), packet(12)))
	}
	b := divertdrv.NewBatch(8, 100)
	if err := h.Recv(b); err != nil || !slices.Equal(numbers(b), []int{2}) {
		t.Fatal(err, numbers(b))
	}
	r.complete(h, b, divertdrv.Pass)
	r.pass(h, 10, 12)
}
