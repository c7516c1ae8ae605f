// Package spent tells how long the measuring thread has run. What others do on the machine is not in it, but for what they do to its
// caches.
package spent

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// CLOCK_THREAD_CPUTIME_ID of clock_gettime(2).
const threadClock = 3

func init() { runtime.LockOSThread() } // main runs on the thread whose clock is read

// Time is what this thread has run since it began; main must be the one that asks.
func Time() time.Duration {
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		panic("clock_gettime: " + errno.Error()) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}
