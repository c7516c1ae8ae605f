package nfqdrv

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// Shutdown ends receiving, sending or both. It waits until no packet is on its way from a rule to the queue, so what Recv finds
// then is all.
func (c *conn) Shutdown(how divertdrv.Shutdown) error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.ended {
		return nil
	}
	var err error
	if how&divertdrv.ShutdownRecv != 0 && !c.recvShut.Load() {
		err = c.stop()
		c.recvShut.Store(true)
		err = errors.Join(err, c.wake())
	}
	if how&divertdrv.ShutdownSend != 0 {
		c.sendShut.Store(true)
	}
	return err
}

// stop removes the rules. The chains stay: the kernel empties all queues of the namespace when one goes.
func (c *conn) stop() error {
	if c.table == nil {
		return nil
	}
	err := c.table.Set(nil)
	settle()
	if c.copier != nil {
		c.copier.stop()
	}
	return err
}

// wake has a Recv that waits look again.
func (c *conn) wake() error {
	switch {
	case c.copier != nil:
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		c.copier.more.Broadcast()
	case c.queue != nil:
		return c.queue.Wake()
	}
	return nil
}

// settle waits until what met the old rules is through: the kernel evaluates rules within sections of read-copy-update, and this
// system call waits for all that began before it (membarrier(2), synchronize_rcu). Where that is not allowed, as with nohz_full,
// some milliseconds are as good as any promise.
func settle() {
	_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, 1 /* MEMBARRIER_CMD_GLOBAL */, 0, 0)
	if errno != 0 {
		time.Sleep(20 * time.Millisecond)
	}
}

// Close removes the rules, lets unread packets go on in their order, and ends the handle.
func (c *conn) Close() error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.ended {
		return nil
	}
	c.ended = true
	c.driver.shared.leave(c)
	var errs []error
	if !c.recvShut.Load() {
		errs = append(errs, c.stop())
	}
	c.closing.Store(true)
	errs = append(errs, c.wake())
	if !c.sendOnly {
		c.in.mu.Lock() // a Recv that waited has returned
		errs = append(errs, c.drain())
		c.in.mu.Unlock()
	}
	if c.queue != nil {
		c.keeper.timer.Stop()
	}
	c.mender.stop()
	c.out.mu.Lock()
	c.out.closed = true
	c.out.mu.Unlock()
	c.books.close(c)
	errs = append(errs, c.driver.shared.registry.Withdraw(c.rank.Opening(), time.Now()), c.release())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w; what the kernel keeps goes with the process", err)
	}
	return nil
}

// drain lets go on what nobody read. Copies end here.
func (c *conn) drain() error {
	c.in.look()
	if c.queue != nil {
		c.pump()
	}
	q := &c.in.backlog
	for q.expire(c.in.now); q.n > 0; q.remove() {
		if c.sniffs {
			c.lose(q.oldest().token, reason.Abandoned)
		} else {
			c.end(q.oldest().token, true)
		}
	}
	c.in.joiner.close()
	if c.queue == nil {
		return nil
	}
	return c.in.verdict.Flush()
}

// release gives back what the handle has in the kernel. The table goes last: if it is the process's last in the namespace, its
// chains go with it, and with them whatever waits in any queue.
func (c *conn) release() error {
	var errs []error
	if c.injector != nil {
		errs = append(errs, c.injector.Close())
	}
	for _, key := range c.keys {
		errs = append(errs, c.driver.shared.registry.Remove(key))
	}
	if c.queue != nil {
		errs = append(errs, c.queue.Close())
	}
	if c.table != nil {
		errs = append(errs, c.table.Close())
	}
	if c.copier != nil {
		errs = append(errs, c.copier.close())
	}
	errs = append(errs, c.dropper.close())
	if c.judged != nil {
		errs = append(errs, c.judged.Close())
	}
	if c.out.mtus.fd >= 0 {
		errs = append(errs, unix.Close(c.out.mtus.fd))
	}
	errs = append(errs, c.driver.shared.give())
	return errors.Join(errs...)
}
