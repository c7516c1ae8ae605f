//go:build !linux

package daemon

import "errors"

// native is the backend that auto stands for: there is none yet.
const native = ""

// openLive is not reached: CheckBackend refuses what this platform does not have.
func openLive(*Driver, func(error)) (backend, error) { return nil, errors.ErrUnsupported }
