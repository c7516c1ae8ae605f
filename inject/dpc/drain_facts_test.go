package dpc

import "testing"

// The drain rule as the kernel's documentation states it, on a pool that is stepped by hand.

func TestLowWaitsForTheDepthLimitThenRunsInOrder(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	busy(p)
	var r recorder
	for i := range 4 {
		p.Queue(r.dpc(Low), i, nil)
		if drainAll(p); len(r.ran) != 0 {
			t.Fatalf("drained at depth %d, limit 4", i+1)
		}
	}
	p.Queue(r.dpc(Low), 4, nil)
	drainAll(p)
	r.want(t, 0, 1, 2, 3, 4)
}

func TestLowIsDrainedAtOnceWhileRequestsAreRare(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 1})
	var r recorder
	p.Queue(r.dpc(Low), "now", nil)
	drainAll(p)
	r.want(t, "now")
}

func TestRemoteMediumIsDeferredToTheTickMediumHighIsNot(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	var r recorder
	medium, prompt := r.dpc(Medium), r.dpc(MediumHigh)
	medium.SetTarget(0)
	prompt.SetTarget(1)
	p.Queue(medium, "medium", nil)
	p.Queue(prompt, "medium high", nil)
	drainAll(p)
	r.want(t, "medium high")
	p.tick()
	drainAll(p)
	r.want(t, "medium high", "medium")
}

func TestRemoteMediumRunsBeforeTheTickIfTheQueueIsDeep(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	var r recorder
	for i := range 5 {
		d := r.dpc(Medium)
		d.SetTarget(1)
		p.Queue(d, i, nil)
	}
	drainAll(p)
	r.want(t, 0, 1, 2, 3, 4)
}

func TestTickAdaptsTheDepthLimit(t *testing.T) {
	p, _ := steppable(t, Config{Queues: 2})
	var r recorder
	d := r.dpc(Medium)
	d.SetTarget(1)
	for want := 3; want >= 1; want-- {
		p.Queue(d, nil, nil)
		p.tick()
		drainAll(p)
		if got := p.Stats().Queues[1].DepthLimit; got != want {
			t.Fatalf("limit %d after a tick that found work left, want %d", got, want)
		}
	}
	for tick := range 60 {
		if got, want := p.Stats().Queues[1].DepthLimit, 1+tick/20; got != want {
			t.Fatalf("limit %d after %d calm ticks, want %d", got, tick, want)
		}
		p.tick()
	}
}
