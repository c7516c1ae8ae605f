//go:build !linux

package nfqdrv

import (
	"fmt"
	"runtime"

	"github.com/weirnet/weir/divertdrv"
)

func probe() []Feature {
	return []Feature{{
		Name: "nfnetlink_queue", Need: true, Err: fmt.Errorf("%w: it is Linux's, this is %s", divertdrv.ErrUnsupported, runtime.GOOS),
		Cost: "nothing can be diverted by this driver", Remedy: "the driver of this system",
	}}
}
