//go:build !linux

package nfqdrv

import (
	"fmt"
	"runtime"

	"github.com/weirnet/weir/divertdrv"
)

// Driver opens handles on the Linux kernel; here there is none.
type Driver struct{ config Config }

func (d *Driver) open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return nil, fmt.Errorf("%w: nfnetlink_queue is Linux's, this is %s", divertdrv.ErrUnsupported, runtime.GOOS)
}
