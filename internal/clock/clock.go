// Package clock is time as the drivers and queues see it: the system's clock, or a virtual one that tests advance by hand.
package clock

import "time"

// Clock tells the time and calls functions later. Its methods may be called from any goroutine.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, d from now: in a goroutine of its own (system clock) or from Advance (virtual clock).
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a pending call.
type Timer interface {
	// Stop cancels the call; false: it has run, is running, or was stopped.
	Stop() bool
}

// System is the system's clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time { return time.Now() }

func (system) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

var started = time.Now()

// Steady is t as nanoseconds since some moment, by the monotonic clock where t was read by System: it does not jump when somebody
// sets the system's clock. It is for comparing times of one clock in one process.
func Steady(t time.Time) int64 { return int64(t.Sub(started)) }
