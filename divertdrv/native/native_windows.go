package native

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/windrv"
)

func init() { divertdrv.RegisterNative(windrv.New(windrv.Config{})) }
