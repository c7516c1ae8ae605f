package daemon

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/windrv"
)

// platform is the backend that Auto stands for.
const platform = WinDivert

func platformDriver(*Driver) divertdrv.Driver { return windrv.New(windrv.Config{}) }
