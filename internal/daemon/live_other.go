//go:build !linux

package daemon

import "errors"

// platform is the backend that Auto stands for: there is none yet.
const platform = ""

// openLive is not reached: CheckBackend refuses what this platform does not have.
func openLive(*Driver, func(error)) (backend, error) { return nil, errors.ErrUnsupported }
