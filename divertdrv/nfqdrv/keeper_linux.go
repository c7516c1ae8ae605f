package nfqdrv

import (
	"sync/atomic"
	"time"
)

// keepEvery is how often the keeper looks. Meanwhile the kernel's own limit must suffice, and what waited is that much older than
// it seems.
const keepEvery = 10 * time.Millisecond

// awayAfter is how long after a Recv its reader is thought to come again: on a busy machine it may not run for some looks.
const awayAfter = 5 * keepEvery

// keeper looks after a handle's queue while nobody reads it: the kernel can only refuse the newest packets, but a queue sheds its
// oldest, and those that waited too long. It rests while a Recv waits, so an idle handle costs nothing.
type keeper struct {
	timer   *time.Timer
	running atomic.Bool // the timer will call
	resting atomic.Bool // a Recv waits for the kernel
}

func (k *keeper) start(look func()) {
	k.running.Store(true)
	k.timer = time.AfterFunc(time.Hour, look)
	k.timer.Reset(keepEvery) // not before the timer is in its place
}

// rest is called before a Recv waits, resume after it.
func (k *keeper) rest() { k.resting.Store(true) }

func (k *keeper) resume() {
	k.resting.Store(false)
	if k.running.CompareAndSwap(false, true) {
		k.timer.Reset(keepEvery)
	}
}

// again has the timer call once more, unless a Recv waits.
func (k *keeper) again() {
	if k.resting.Load() {
		k.running.Store(false)
		if k.resting.Load() || !k.running.CompareAndSwap(false, true) {
			return // it will resume
		}
	}
	k.timer.Reset(keepEvery)
}

// keep is what the timer calls.
func (c *conn) keep() {
	if c.in.mu.TryLock() {
		defer c.in.mu.Unlock()
		if c.closing.Load() {
			return
		}
		c.in.look()
		if c.in.away = c.in.now >= c.in.present; c.in.away || c.behind() {
			c.pump() // of what waits, only what the limits allow is kept
		}
		c.in.backlog.expire(c.in.now)
		c.tell()
	}
	if !c.closing.Load() {
		c.keeper.again()
	}
}
