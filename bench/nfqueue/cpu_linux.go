package nfqueue

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what a process used of the processors, all its threads together.
type cpuTime struct {
	total        time.Duration // exact
	user, system time.Duration // the kernel's estimate of the parts, in ticks
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on all platforms of Go

// cpuOf reads it from outside: the clock of the process (clock_getcpuclockid(3)) and /proc/PID/stat.
func cpuOf(pid int) (c cpuTime, err error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		return c, fmt.Errorf("clock of process %d: %w", pid, err)
	}
	c.total = time.Duration(ts.Nano())
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	// The second field is a name in parentheses, which may have blanks; of what follows, the 12th and 13th are user and system time.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return c, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	c.user, c.system = time.Duration(number(f[11]))*tick, time.Duration(number(f[12]))*tick
	return c, nil
}

// since is what was used after an earlier reading. The parts are scaled to the exact sum.
func (c cpuTime) since(b cpuTime) cpuTime {
	d := cpuTime{c.total - b.total, c.user - b.user, c.system - b.system}
	if parts := d.user + d.system; parts > 0 {
		d.user = time.Duration(float64(d.total) * float64(d.user) / float64(parts))
		d.system = d.total - d.user
	}
	return d
}

// stayOn keeps the calling goroutine's thread, and the processes that it starts, to one processor until back is called.
func stayOn(cpu int) (back func(), err error) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	one.Set(cpu)
	if err = unix.SchedGetaffinity(0, &before); err == nil {
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("stay on processor %d: %w", cpu, err)
	}
	return func() {
		if unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread() // else the thread ends with its goroutine
		}
	}, nil
}

// stayOnLast is stayOn for the last processor that we may use: the first ones have more of the machine's own work.
func stayOnLast() (back func(), err error) {
	cpu, err := lastCPU()
	if err != nil {
		return nil, err
	}
	return stayOn(cpu)
}

func lastCPU() (cpu int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("processors: %w", err)
	}
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpu = i
		}
	}
	return cpu, nil
}
