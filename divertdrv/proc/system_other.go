//go:build !linux && !windows

package proc

import (
	"fmt"
	"runtime"

	"github.com/weirnet/weir/divertdrv"
)

// Local refuses: sockets are looked up on Linux and Windows only.
func Local() (System, func() error, error) {
	return nil, nil, fmt.Errorf("look sockets up on %s: %w", runtime.GOOS, divertdrv.ErrUnsupported)
}
