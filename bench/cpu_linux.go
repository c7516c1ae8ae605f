package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTimes are this process's: the sum to the nanosecond (CLOCK_PROCESS_CPUTIME_ID), its parts as getrusage(2) has them.
func cpuTimes() (total, user, system time.Duration) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err == nil {
		total = time.Duration(ts.Nano())
	}
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err == nil {
		user, system = time.Duration(ru.Utime.Nano()), time.Duration(ru.Stime.Nano())
	}
	return total, user, system
}
