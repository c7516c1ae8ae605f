//go:build !windows

package windrv

import (
	"fmt"
	"runtime"

	"github.com/weirnet/weir/divertdrv"
)

func (d *Driver) open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return nil, fmt.Errorf("%w: WinDivert is a driver for Windows, this is %s", divertdrv.ErrUnsupported, runtime.GOOS)
}
