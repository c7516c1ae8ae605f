package bench

import (
	"slices"
	"time"
)

// Overhead is what the harness itself adds to what it measures, in nanoseconds; the least of several tries.
type Overhead struct {
	Run   float64 `json:"run_ns"`   // of each run: reading the clocks
	Loop  float64 `json:"loop_ns"`  // an operation that does nothing, measured by Loop, with Run in it
	Empty float64 `json:"empty_ns"` // the same loop, timed by nothing but two reads of the clock
}

// The empty loop's length, and how often it is tried.
const (
	overheadOps   = 1 << 16
	overheadTries = 20
)

func measureOverhead() Overhead {
	var run, loops, empty []float64
	nothing := &loop{w: Work{Do: func(int) error { return nil }}, each: 1}
	counting := &loop{w: Work{Do: func(n int) error { spin(n); return nil }}, each: 1}
	for range overheadTries {
		s, _ := nothing.measure(1) // neither of the two fails
		run = append(run, float64(s.Elapsed))
		s, _ = counting.measure(overheadOps)
		loops = append(loops, float64(s.Elapsed)/overheadOps)
		start := time.Now()
		spin(overheadOps)
		empty = append(empty, float64(time.Since(start))/overheadOps)
	}
	return Overhead{slices.Min(run), slices.Min(loops), slices.Min(empty)}
}

//go:noinline
func spin(n int) {
	for i := 0; i < n; i++ { // an empty loop is what is measured
	}
}
