//go:build !windows

package driverlife

import (
	"errors"
	"fmt"
	"runtime"
)

// Local refuses: the driver is Windows'.
func Local() (*System, error) {
	return nil, fmt.Errorf("%w: this system is %s; 'weir driver verify' works here, and 'weir doctor' tells what this system's driver needs",
		ErrNotWindows, runtime.GOOS)
}

// ErrNotWindows: there is no service to look after.
var ErrNotWindows = errors.New("WinDivert's service is on Windows only")
