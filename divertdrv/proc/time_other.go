//go:build !windows

package proc

import "time"

// eventTime: a time stamp is in nanoseconds since the epoch; 0 is none.
func eventTime(stamp int64, now time.Time) time.Time {
	if stamp == 0 {
		return now
	}
	return time.Unix(0, stamp)
}
