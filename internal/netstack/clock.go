package netstack

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/weirnet/weir/internal/clock"
)

// tcpClock is gvisor's view of a clock. Calls on a virtual one run in the goroutine that advances it instead of one of their own:
// they only wait for locks that no caller of Advance holds.
type tcpClock struct {
	clock.Clock
	start time.Time
}

func newClock(c clock.Clock) *tcpClock { return &tcpClock{Clock: c, start: c.Now()} }

// NowMonotonic counts from when the host was made.
func (c *tcpClock) NowMonotonic() (m tcpip.MonotonicTime) {
	return m.Add(c.Now().Sub(c.start))
}

// AfterFunc has f called d from now.
func (c *tcpClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &tcpTimer{clock: c.Clock, f: f}
	t.Reset(d)
	return t
}

type tcpTimer struct {
	clock clock.Clock
	f     func()

	mu    sync.Mutex // guards timer
	timer clock.Timer
}

// Stop cancels the call; false: it has run or is running.
func (t *tcpTimer) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.timer.Stop()
}

// Reset has it called d from now instead.
func (t *tcpTimer) Reset(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = t.clock.AfterFunc(d, t.f)
}
