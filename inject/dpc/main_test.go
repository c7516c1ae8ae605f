package dpc

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long asks for the long runs of the random tests.
var long = os.Getenv("WEIR_LONG") != ""

// patience bounds what should take no time at all, so that a failing test ends.
const patience = 30 * time.Second

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// waitFor polls until done, for as long as patience allows.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// fakeTime is a clock that only tests move. Steppable pools are driven by one goroutine, so it needs no lock.
type fakeTime struct{ now time.Time }

func (f *fakeTime) advance(d time.Duration) { f.now = f.now.Add(d) }

// steppable makes a pool that nothing drives but q.step and p.tick: the production paths without its goroutines.
func steppable(t testing.TB, cfg Config) (*Pool, *fakeTime) {
	t.Helper()
	clock := &fakeTime{now: time.Unix(0, 0)}
	cfg.Now = func() time.Time { return clock.now }
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(cfg)
	t.Cleanup(func() { checkConservation(t, p.Stats()) })
	return p, clock
}

// step does what the worker does when it is woken, and reports whether there was cause to wake it.
func (q *queue) step() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.requested || q.draining {
		return false
	}
	q.drain()
	return true
}

// running makes a pool with workers whose ticks come only from the returned channel, and closes it with the test.
func running(t testing.TB, cfg Config) (*Pool, chan<- time.Time) {
	t.Helper()
	ticks := make(chan time.Time)
	cfg.Ticks = ticks
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(patient(t)); err != nil {
			t.Errorf("Close: %v", err)
		}
		checkConservation(t, p.Stats())
	})
	return p, ticks
}

func checkConservation(t testing.TB, s Stats) {
	t.Helper()
	law := func(name string, c Counters) {
		if c.Queued != c.Ran+c.Removed+uint64(c.Waiting)+uint64(c.Running) {
			t.Errorf("%s: queued %d != ran %d + removed %d + waiting %d + running %d",
				name, c.Queued, c.Ran, c.Removed, c.Waiting, c.Running)
		}
	}
	law("all queues", s.Counters)
	for _, q := range append(s.Queues, s.ThreadedQueues...) {
		law("one queue", q.Counters)
	}
}
