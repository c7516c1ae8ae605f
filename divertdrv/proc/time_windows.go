package proc

import (
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32  = windows.NewLazySystemDLL("kernel32.dll")
	counter   = kernel32.NewProc("QueryPerformanceCounter")
	frequency = kernel32.NewProc("QueryPerformanceFrequency")
)

// eventTime: a time stamp is of the performance counter, which is now here.
func eventTime(stamp int64, now time.Time) time.Time {
	var c, f int64
	_, _, _ = counter.Call(uintptr(unsafe.Pointer(&c)))
	_, _, _ = frequency.Call(uintptr(unsafe.Pointer(&f))) // neither fails since Windows XP
	return ticksBefore(now, c-stamp, f)
}
