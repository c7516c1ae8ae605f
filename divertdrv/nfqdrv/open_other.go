//go:build !linux

package nfqdrv

import (
	"fmt"
	"runtime"

	"github.com/weirnet/weir/divertdrv"
)

type shared struct{}

func (d *Driver) open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return nil, fmt.Errorf("%w: nfnetlink_queue is Linux's, this is %s", divertdrv.ErrUnsupported, runtime.GOOS)
}
