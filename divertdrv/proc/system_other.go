//go:build !linux && !windows

package proc

import (
	"runtime"

	"github.com/weirnet/weir/divertdrv"
)

// Local refuses: sockets are looked up on Linux and Windows only.
func Local() (System, func() error, error) {
	return nil, nil, &divertdrv.OpError{Op: "look sockets up", Driver: runtime.GOOS, Err: divertdrv.ErrUnsupported}
}
