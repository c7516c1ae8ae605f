package dpc

import (
	"fmt"
	"runtime"
	"time"
)

// Config of a Pool. The zero value is good.
type Config struct {
	// Queues is the number of processors; each has an ordinary and a threaded queue. 1 to MaxQueues; 0: GOMAXPROCS.
	Queues int
	// Depth bounds each queue, in DPCs. At least 1; 0: 4096. As one DPC waits in one queue only, a pool with no more
	// DPCs than that never refuses.
	Depth int
	// NoThreaded turns threaded queues off: threaded DPCs run as ordinary ones.
	NoThreaded bool

	// Single is how long one routine may take before it is reported. 0: 100 µs, Microsoft's guideline; negative: off. It
	// counts elapsed time, so a worker that lost its processor meanwhile is reported too, and is as exact as the clock:
	// on Windows Go's clock moves in steps of the system timer, 0.5 to 15.6 ms.
	Single time.Duration
	// Cumulative is how long a queue may drain without a pause before it is reported. 0: off.
	Cumulative time.Duration
	// Stall is how long a routine may run before Flush and Close stop waiting for it and return ErrStalled. 0: 20 s, from
	// the example of bug check 0x133 (1280 ticks); negative: never.
	Stall time.Duration
	// OnReport is called with each report, from the worker or the tick's goroutine, with no lock held. It must be safe
	// for concurrent use and must not block. A panic in it is not contained.
	OnReport func(Report)

	// Tick is the period of the tick. 0: 15.625 ms, the period of the Windows timer.
	Tick time.Duration
	// Ticks, if not nil, gives the ticks instead: one for each value received.
	Ticks <-chan time.Time
	// Now, if not nil, is the clock for all durations here. It must be safe for concurrent use and cheap: it is read
	// twice per routine.
	Now func() time.Time
}

const (
	depthDefault  = 4096
	singleDefault = 100 * time.Microsecond
	stallDefault  = 20 * time.Second
	tickDefault   = 15625 * time.Microsecond
)

// withDefaults checks c and fills in what was left zero.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Queues < 0 || c.Queues > MaxQueues:
		return c, fmt.Errorf("dpc: Config.Queues is %d: use 1 to %d, or 0 for one per processor", c.Queues, MaxQueues)
	case c.Depth < 0:
		return c, fmt.Errorf("dpc: Config.Depth is %d: use at least 1, or 0 for %d", c.Depth, depthDefault)
	case c.Cumulative < 0:
		return c, fmt.Errorf("dpc: Config.Cumulative is %v: use a positive limit, or 0 for none", c.Cumulative)
	case c.Tick < 0:
		return c, fmt.Errorf("dpc: Config.Tick is %v: use a positive period, or 0 for %v", c.Tick, tickDefault)
	}
	fill(&c.Queues, min(runtime.GOMAXPROCS(0), MaxQueues))
	fill(&c.Depth, depthDefault)
	fill(&c.Single, singleDefault)
	fill(&c.Stall, stallDefault)
	fill(&c.Tick, tickDefault)
	return c, nil
}

func fill[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// nanoseconds makes of Now a clock that counts from the pool's beginning. The default takes only the monotonic reading.
func (c Config) nanoseconds() func() int64 {
	if c.Now == nil {
		began := time.Now()
		return func() int64 { return int64(time.Since(began)) }
	}
	began := c.Now()
	return func() int64 { return int64(c.Now().Sub(began)) }
}
