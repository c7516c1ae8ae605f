package clock

import (
	"slices"
	"testing"
	"time"
)

func TestVirtualRunsInOrderAtTheirTime(t *testing.T) {
	start := time.Unix(100, 0)
	v := NewVirtual(start)
	var ran []string
	note := func(s string) func() {
		return func() { ran = append(ran, s+"@"+v.Now().Sub(start).String()) }
	}
	v.AfterFunc(2*time.Second, note("b"))
	v.AfterFunc(time.Second, func() {
		note("a")()
		v.AfterFunc(time.Second, note("c")) // falls due with b, asked for later
	})
	stopped := v.AfterFunc(time.Second, note("never"))
	if !stopped.Stop() || stopped.Stop() {
		t.Fatal("Stop must be true once")
	}
	v.Advance(3 * time.Second)
	if want := []string{"a@1s", "b@2s", "c@2s"}; !slices.Equal(ran, want) {
		t.Fatalf("ran %v, want %v", ran, want)
	}
	if v.Pending() != 0 || v.Now() != start.Add(3*time.Second) {
		t.Fatalf("pending %d, now %v", v.Pending(), v.Now())
	}
}

func TestVirtualSteps(t *testing.T) {
	start := time.Unix(100, 0)
	v := NewVirtual(start)
	var ran int
	v.AfterFunc(time.Second, func() { ran++ })
	v.AfterFunc(time.Second, func() { ran++ })
	v.AfterFunc(5*time.Second, func() { ran++ })
	end := start.Add(3 * time.Second)
	for want := 1; want <= 2; want++ {
		if !v.Step(end) || ran != want || v.Now() != start.Add(time.Second) {
			t.Fatalf("step %d: ran %d, now %v", want, ran, v.Now())
		}
	}
	if v.Step(end) || ran != 2 || v.Now() != end {
		t.Fatalf("last step: ran %d, now %v", ran, v.Now())
	}
	if v.Step(start) || v.Now() != end {
		t.Fatalf("the clock went back to %v", v.Now())
	}
}

func TestSystem(t *testing.T) {
	done := make(chan struct{})
	System.AfterFunc(0, func() { close(done) })
	<-done
	if System.Now().IsZero() {
		t.Fatal("no time")
	}
}
