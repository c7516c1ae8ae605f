package nfqdrv

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
)

// asked is the filter that the handle goes by now.
type asked struct {
	filter  *divertdrv.Filter
	filters filters
}

// Refilter has the handle go by another filter of the same layer, in one transaction of the kernel's: each packet meets the old one
// or the new one, the place among other handles stays, nothing is lost, and what both take keeps its order. What the old one queued is still handed out,
// unless user space has a part in the new one and finds that it does not want it: then it goes on. An error has changed nothing; ErrUnsupported: the handle copies or drops.
func (c *conn) Refilter(f *divertdrv.Filter) error {
	c.life.Lock()
	defer c.life.Unlock()
	switch {
	case c.ended:
		return divertdrv.ErrClosed
	case c.recvShut.Load():
		return divertdrv.ErrShutdown
	case c.table == nil || c.sniffs || c.dropAll:
		return fmt.Errorf("%w: another filter for a handle that copies, drops, or only sends", divertdrv.ErrUnsupported)
	case f.Layer() != c.layer:
		return fmt.Errorf("%w: a filter of layer %v for a handle at %v", divertdrv.ErrInvalid, f.Layer(), c.layer)
	}
	lowered, err := lowerAll(f, c.layer, c.fragments)
	if err != nil {
		return fmt.Errorf("%w: %w", divertdrv.ErrInvalid, err)
	}
	old := c.asked.Swap(&asked{filter: f, filters: lowered})
	if err := c.install(c.driver.config.FailClosed); err != nil {
		c.asked.Store(old)
		return denied(err)
	}
	return nil
}

// Waiting is how many packets of the handle wait in the kernel for a verdict, those that are held or in a batch too. known is false
// where the kernel does not tell.
func (c *conn) Waiting() (n uint64, known bool) {
	if c.queue == nil {
		return 0, false
	}
	s, known := c.queue.Stats()
	return s.Waiting, known
}
