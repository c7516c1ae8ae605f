package proc

import (
	"math"
	"time"
)

// ticksBefore is the time so many ticks of a counter ago; the time itself for what cannot be.
func ticksBefore(now time.Time, ticks, perSecond int64) time.Time {
	if ticks < 0 || perSecond <= 0 || ticks/perSecond > math.MaxInt32 {
		return now
	}
	return now.Add(-time.Duration(ticks/perSecond)*time.Second - time.Duration(float64(ticks%perSecond)/float64(perSecond)*float64(time.Second)))
}
