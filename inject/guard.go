package inject

import (
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Guard plays the locks of TCP endpoints, which Windows holds while a transport layer classifies. It finds who injects TCP by a
// back door: from within a classification, but past its Scope. On Windows that is a deadlock; here it is reported. It is for
// verifying: a processor that verifies takes a lock per classification of TCP.
//
// All methods may be called from any goroutine; those of a nil Guard do nothing.
type Guard struct {
	patience time.Duration

	mu    sync.Mutex // guards all below
	freed sync.Cond
	held  map[wire.FlowKey]struct{}
}

// guardPatience is how long an injection waits for a classification of the same flow to end before it counts as made from within
// it. Another goroutine's classification is over long before.
const guardPatience = 200 * time.Millisecond

// NewGuard returns a Guard that waits so long for a flow to be free; 0: 200 ms.
func NewGuard(patience time.Duration) *Guard {
	if patience <= 0 {
		patience = guardPatience
	}
	g := &Guard{patience: patience, held: make(map[wire.FlowKey]struct{})}
	g.freed.L = &g.mu
	return g
}

// Lock takes the flow's lock, for a classification. It waits for an injection into the flow to end.
func (g *Guard) Lock(k wire.FlowKey) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.isHeld(k) {
		g.freed.Wait()
	}
	g.held[k] = struct{}{}
}

// Unlock gives it back.
func (g *Guard) Unlock(k wire.FlowKey) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, k)
	g.freed.Broadcast()
}

// tryLock takes the flow's lock for an injection; false: it was not to be had in time, so whoever holds it waits for us.
func (g *Guard) tryLock(k wire.FlowKey) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isHeld(k) && !g.await(k) {
		return false
	}
	g.held[k] = struct{}{}
	return true
}

func (g *Guard) await(k wire.FlowKey) bool {
	end := time.Now().Add(g.patience)
	timer := time.AfterFunc(g.patience, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.freed.Broadcast()
	})
	defer timer.Stop()
	for g.isHeld(k) {
		if !time.Now().Before(end) {
			return false
		}
		g.freed.Wait()
	}
	return true
}

// isHeld needs g.mu.
func (g *Guard) isHeld(k wire.FlowKey) bool {
	_, held := g.held[k]
	return held
}
