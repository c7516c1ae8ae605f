package livetest

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
)

// relay passes what a handle receives, after judge has changed it, until the handle ends. What is in hand then is completed before.
func relay(h *divertdrv.Handle, judge func(p *divertdrv.Packet)) error {
	for b := divertdrv.NewBatch(64, 1<<20); ; {
		err := h.Recv(b)
		if errors.Is(err, divertdrv.ErrClosed) || errors.Is(err, divertdrv.ErrShutdown) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			p.Set(divertdrv.Pass, 0)
			if judge != nil {
				judge(p)
			}
		}
		if err := h.Complete(b); err != nil {
			return err
		}
	}
}
