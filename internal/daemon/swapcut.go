package daemon

import "github.com/weirnet/weir/divertdrv"

// What is judged is left to the kernel by the lower handle that is read now. An era names that handle too, in its upper half: what
// was decided before another came under the handle has no effect there.
const serialShift = 32

// reads is what is read now; nil: nothing.
func (c *swapConn) reads() (l *lower, cut divertdrv.CutThrough) {
	c.mu.Lock()
	l = c.now
	c.mu.Unlock()
	if l == nil || !l.conn.Caps().CutThrough {
		return nil, nil
	}
	cut, _ = offers[divertdrv.CutThrough](l.conn)
	return l, cut
}

// Era is asked once for each batch.
func (c *swapConn) Era() uint64 {
	if l, cut := c.reads(); cut != nil {
		return l.serial<<serialShift | cut.Era()&(1<<serialShift-1)
	}
	return 0
}

// Judge is divertdrv.Handle.Judge.
func (c *swapConn) Judge(k divertdrv.FlowKey, era uint64) error {
	l, cut := c.reads()
	switch {
	case cut == nil:
		return divertdrv.ErrUnsupported
	case era != l.serial<<serialShift|cut.Era()&(1<<serialShift-1):
		return nil
	}
	return cut.Judge(k, era&(1<<serialShift-1))
}

// Recall is divertdrv.Handle.Recall.
func (c *swapConn) Recall(k divertdrv.FlowKey) error {
	if _, cut := c.reads(); cut != nil {
		return cut.Recall(k)
	}
	return nil
}

// RecallAll is divertdrv.Handle.RecallAll.
func (c *swapConn) RecallAll() error {
	if _, cut := c.reads(); cut != nil {
		return cut.RecallAll()
	}
	return nil
}

// Kernel says which part of the filter runs in the kernel; also of what is closed.
func (c *swapConn) Kernel() []divertdrv.KernelPart {
	c.mu.Lock()
	l := c.now
	c.mu.Unlock()
	if l == nil {
		return nil
	}
	if k, ok := offers[interface{ Kernel() []divertdrv.KernelPart }](l.conn); ok {
		return k.Kernel()
	}
	return nil
}
