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
	if at, ok := v.Next(); !ok || at != start.Add(time.Second) {
		t.Errorf("next at %v, %v", at, ok)
	}
	v.Advance(3 * time.Second)
	if want := []string{"a@1s", "b@2s", "c@2s"}; !slices.Equal(ran, want) {
		t.Fatalf("ran %v, want %v", ran, want)
	}
	if v.Pending() != 0 || v.Now() != start.Add(3*time.Second) {
		t.Fatalf("pending %d, now %v", v.Pending(), v.Now())
	}
	if at, ok := v.Next(); ok {
		t.Errorf("next at %v, though none waits", at)
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

// Differences of Steady are those of the times, by any clock.
func TestSteady(t *testing.T) {
	for _, now := range []time.Time{System.Now(), NewVirtual(time.Unix(0, 0)).Now(), NewVirtual(time.Unix(4e9, 5)).Now()} {
		if d := Steady(now.Add(90*time.Minute)) - Steady(now); d != int64(90*time.Minute) {
			t.Errorf("from %v: %v", now, time.Duration(d))
		}
	}
	before := Steady(System.Now())
	if d := Steady(System.Now()) - before; d < 0 || d > int64(time.Hour) {
		t.Errorf("%v passed", time.Duration(d))
	}
}
