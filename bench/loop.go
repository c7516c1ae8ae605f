package bench

import (
	"context"
	"runtime"
	"time"
)

// Work is what Loop measures.
type Work struct {
	// Do does n operations. It is called with n a multiple of Each.
	Do func(n int) error
	// Each is the least number of operations that make sense at once, as a batch or a ring of packets has. 0: 1
	Each int
	// Packets and Bytes for one operation; averages. 0: not counted
	Packets, Bytes float64
	// Fill adds what the work has measured by itself to the sample of a run; nil: nothing.
	Fill func(s *Sample)
}

// Loop returns the Run of a Trial that does operations as fast as it can. How many fill a run it finds out once, and corrects run
// by run.
func Loop(w Work) func(ctx context.Context, d time.Duration) (Sample, error) {
	l := &loop{w: w, each: max(w.Each, 1)}
	return l.run
}

type loop struct {
	w    Work
	each int
	cost time.Duration // of each operations, as known so far
}

func (l *loop) run(ctx context.Context, d time.Duration) (Sample, error) {
	for n := l.each; l.cost == 0; n *= 4 {
		if err := ctx.Err(); err != nil {
			return Sample{}, err
		}
		s, err := l.measure(n)
		if err != nil {
			return s, err
		}
		if s.Elapsed >= d/8 || s.Elapsed > time.Millisecond {
			l.learn(s)
		}
	}
	s, err := l.measure(max(int(d/l.cost), 1) * l.each)
	l.learn(s)
	return s, err
}

// learn takes the cheaper of what was measured: a run that was disturbed must not make the next one short.
func (l *loop) learn(s Sample) {
	cost := max(s.Elapsed/time.Duration(max(s.Ops, 1)/uint64(l.each)), 1)
	if l.cost == 0 || cost < l.cost {
		l.cost = cost
	}
}

func (l *loop) measure(n int) (Sample, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	watch := Watch()
	err := l.w.Do(n)
	s := watch()
	runtime.ReadMemStats(&after)
	s.Counted = true
	s.Ops = uint64(n)
	s.Packets, s.Bytes = uint64(float64(n)*l.w.Packets), uint64(float64(n)*l.w.Bytes)
	s.Allocs, s.AllocBytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	if l.w.Fill != nil {
		l.w.Fill(&s)
	}
	return s, err
}

// Watch starts clocks; what it returns reads them: Elapsed, CPU, User and System of this process.
func Watch() func() Sample {
	total, user, system := cpuTimes()
	start := time.Now()
	return func() Sample {
		elapsed := time.Since(start)
		t, u, s := cpuTimes()
		return Sample{Elapsed: elapsed, CPU: t - total, User: u - user, System: s - system}
	}
}
