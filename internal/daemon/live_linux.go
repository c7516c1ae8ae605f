package daemon

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
)

// platform is the backend that Auto stands for.
const platform = NFQueue

func platformDriver(d *Driver) divertdrv.Driver {
	return nfqdrv.New(nfqdrv.Config{Namespace: d.Namespace, FailClosed: d.FailClosed, Spin: d.Spin})
}
