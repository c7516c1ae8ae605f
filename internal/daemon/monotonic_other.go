//go:build !linux

package daemon

import "time"

var started = time.Now()

// monotonic is for a service manager that only Linux has.
func monotonic() time.Duration { return time.Since(started) }
