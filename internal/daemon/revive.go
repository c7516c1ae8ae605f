package daemon

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// How long a driver that died is left alone before each try to open it again.
const (
	reviveFirst = 100 * time.Millisecond
	reviveMost  = 30 * time.Second
)

// revived counts deaths of the driver.
type revived struct {
	mu    sync.Mutex // guards all below
	died  uint64
	again uint64
	last  string // why it died last
}

func (r *revived) get() (died, again uint64, last string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.died, r.again, r.last
}

// driverDied is told by a handle whose lower handle broke, and has it opened again. Until then packets pass by, or are dropped where
// the driver was told to fail closed.
func (s *Session) driverDied(c *swapConn, err error) {
	s.revived.mu.Lock()
	s.revived.died++
	s.revived.last = oneLine(err)
	s.revived.mu.Unlock()
	s.log.tell(evDriverDied, zap.Int(keyHandle, c.id), zap.String(keyError, oneLine(err)))
	s.others.Go(func() { s.revive(c) })
}

// revive tries until it succeeds, or nothing is to be opened any more.
func (s *Session) revive(c *swapConn) {
	for wait, try := reviveFirst, 1; ; wait, try = min(2*wait, reviveMost), try+1 {
		select {
		case <-time.After(wait):
		case <-s.ending.Done():
			return
		}
		done, err := s.swap.reopen(c)
		if err == nil && done {
			s.revived.mu.Lock()
			s.revived.again++
			s.revived.mu.Unlock()
			s.log.tell(evReopened, zap.Int(keyHandle, c.id), zap.Int(keyTry, try))
			return
		}
		s.log.tell(evReopenFailed, zap.Int(keyHandle, c.id), zap.Int(keyTry, try), zap.Duration(keyNext, min(2*wait, reviveMost)),
			zap.String(keyError, oneLine(err)))
	}
}
