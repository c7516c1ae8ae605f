package native

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
)

func init() { divertdrv.RegisterNative(nfqdrv.New(nfqdrv.Config{})) }
