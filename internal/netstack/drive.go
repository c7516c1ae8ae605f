package netstack

import (
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/weirnet/weir/internal/clock"
)

// How Drive waits, in real time. Whatever it does, TCP sees a machine that is fast or slow, never a wrong one. restMax must be long:
// where the system lets a thread with work wait, time would run away from it, and connections time out.
const (
	restSpins = 100                   // looks for rest that give way to others only
	restSleep = 20 * time.Microsecond // between further looks
	restMax   = 2 * time.Second       // then time goes on without it: something that is not ours may be running for ever
	idleSleep = time.Millisecond      // when nothing waits for the clock

	// Before a long step there is a pause, and rest must have lasted. While goroutines wait for the garbage collector all looks at
	// rest: time must not run through TCP's patience meanwhile.
	pauseRatio = 1000 // of the step to the pause
	pauseMax   = 5 * time.Millisecond
)

// Drive advances v to the next call that waits for it, and again, each time when every goroutine of the process waits for
// something (as far as the runtime can tell, at little cost): all that can happen at a time has happened before it moves on. So a
// test with real goroutines on a virtual clock takes as long as its work does, on a loaded machine too. Several calls due within
// a tenth of a millisecond happen together.
//
// stop ends it and waits for that.
func Drive(v *clock.Virtual) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				step(v)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// step waits for rest and moves v on.
func step(v *clock.Virtual) {
	waitForRest()
	next, ok := v.Next()
	if !ok {
		time.Sleep(idleSleep)
		return
	}
	d := max(next.Sub(v.Now()), 100*time.Microsecond)
	if pause := min(d/pauseRatio, pauseMax); pause >= restSleep {
		time.Sleep(pause)
		if again, _ := v.Next(); again != next || !atRest() {
			return // something happened
		}
	}
	v.Advance(d)
}

func waitForRest() {
	for range restSpins {
		if atRest() {
			return
		}
		runtime.Gosched()
	}
	for end := time.Now().Add(restMax); time.Now().Before(end) && !atRest(); {
		time.Sleep(restSleep)
	}
}

// atRest says that nothing but the caller runs or could run. The runtime's counts are not taken at one moment, hence twice.
func atRest() bool {
	for range 2 {
		s := [...]metrics.Sample{{Name: "/sched/goroutines/running:goroutines"}, {Name: "/sched/goroutines/runnable:goroutines"}}
		metrics.Read(s[:])
		if s[0].Value.Uint64() > 1 || s[1].Value.Uint64() > 0 {
			return false
		}
	}
	return true
}
