//go:build !windows

package driverlife

import (
	"fmt"
	"runtime"
)

// Local refuses: the driver is Windows'.
func Local() (*System, error) {
	return nil, fmt.Errorf("%w: this system is %s; 'weir driver verify' works here, and 'weir doctor' tells what this system's driver needs",
		ErrNotWindows, runtime.GOOS)
}
