//go:build !linux

package spent

import "time"

var start = time.Now()

// Time is the time since the program began, where the platform does not tell a thread's.
func Time() time.Duration { return time.Since(start) }
