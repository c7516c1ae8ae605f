//go:build !linux && !windows

package daemon

import "github.com/weirnet/weir/divertdrv"

// platform is the backend that Auto stands for: there is none yet.
const platform = ""

func platformDriver(*Driver) divertdrv.Driver { return nil }
