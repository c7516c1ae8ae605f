package stack_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/internal/stack"
)

// A host that answers from within the Sink: each packet below 100 is followed by another one.
func TestSinkMayEnter(t *testing.T) {
	r := newRig(t)
	h := r.open("tcp", 0, 0)
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		if n := number(data); n < 10 {
			return r.Enter(outbound(), packet(n+1))
		}
		return nil
	}
	r.enter(1) // tcp: taken
	r.hasLeft()
	for n := 1; n < 10; n += 2 {
		r.pass(h, n)
	}
	r.hasLeft(upTo(10)...)
}

// What the Sink sends while the source comes to its end is not too late.
func TestSinkMayEnterAtTheEndOfTheSource(t *testing.T) {
	r := newRig(t, withSource(3, true))
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		if n := number(data); n < 100 {
			return r.Enter(outbound(), packet(n+100))
		}
		return nil
	}
	r.ended(r.open("false", 0, 0), divertdrv.ErrShutdown)
	r.hasLeft(1, 2, 3, 101, 102, 103)
	mustBe(t, "turned", r.Stats().Turned, 0)
}

func TestSinkThatFloodsIsRefused(t *testing.T) {
	r := newRig(t)
	flooded := false
	var refused, entered int
	r.sink = func(_ *divertdrv.Address, data []byte) error {
		if flooded {
			return nil
		}
		flooded = true
		for n := range 5000 {
			err := r.Enter(outbound(), packet(n+2))
			if errors.Is(err, divertdrv.ErrNoRoom) {
				refused++
			} else if err == nil {
				entered++
			}
		}
		return nil
	}
	r.enter(1)
	if entered != 4096 || refused != 904 {
		t.Errorf("%d entered, %d refused", entered, refused)
	}
	st := r.Stats()
	mustBe(t, "turned", st.Turned, 904)
	mustBe(t, "left", st.Left, 4097)
	if !slices.IsSorted(r.left) {
		t.Error("out of order")
	}
}

// Two hosts on one wire, both sides sending at once: neither waits for the other.
func TestTwoStacksAreEachOthersWire(t *testing.T) {
	const each, bounces = 300, 6
	var a, b *stack.Stack
	pass := func(to **stack.Stack) func(*divertdrv.Address, []byte) error {
		return func(ad *divertdrv.Address, data []byte) error {
			if data[8] == 64-bounces {
				return nil
			}
			next := slices.Clone(data)
			next[8]--
			return (*to).Enter(ad, next)
		}
	}
	a = stack.New(stack.Config{Name: "a", Sink: pass(&b)})
	b = stack.New(stack.Config{Name: "b", Sink: pass(&a)})
	done := make(chan struct{})
	for _, s := range []*stack.Stack{a, b} {
		go func() {
			for n := range each {
				if err := s.Enter(outbound(), packet(n)); err != nil {
					t.Error(err)
				}
			}
			done <- struct{}{}
		}()
	}
	for range 2 {
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("the stacks wait for each other")
		}
	}
	sa, sb := a.Stats(), b.Stats()
	mustBe(t, "walks", sa.Left+sb.Left, 2*each*(bounces+1))
	mustBe(t, "refused", sa.Refused+sb.Refused, 0)
}
