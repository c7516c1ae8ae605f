package daemon

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
)

// platform is the backend that Auto stands for.
const platform = NFQueue

func platformDriver() divertdrv.Driver { return nfqdrv.New(nfqdrv.Config{}) }
