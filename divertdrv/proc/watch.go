package proc

import (
	"context"
	"errors"
	"sync"

	"github.com/weirnet/weir/divertdrv"
)

// Watch feeds the table with the events of a driver until ctx ends: of its SOCKET and FLOW layers, where it has them. ready is
// called once they are open and the table is seeded, so that whatever happens from then on is known. It returns nil when ctx
// ended. A driver without these layers is divertdrv.ErrUnsupported: then looks alone are known, which Ask makes by itself.
func (t *Table) Watch(ctx context.Context, d divertdrv.Driver, ready func()) error {
	var handles []*divertdrv.Handle
	defer func() {
		for _, h := range handles {
			_ = h.Close() // copies of events are lost, nothing else
		}
	}()
	var none error
	for _, l := range []struct {
		layer  divertdrv.Layer
		filter string
	}{{divertdrv.LayerSocket, "tcp or udp"}, {divertdrv.LayerFlow, "tcp or udp"}} {
		h, err := divertdrv.Open(l.filter, l.layer, &divertdrv.Options{Driver: d, Flags: divertdrv.Sniff | divertdrv.RecvOnly})
		if err != nil {
			none = errors.Join(none, err)
			continue
		}
		handles = append(handles, h)
	}
	if len(handles) == 0 {
		return none
	}
	if err := t.Look(); err != nil {
		return err
	}
	ready()
	stop := context.AfterFunc(ctx, func() {
		for _, h := range handles {
			_ = h.Shutdown(divertdrv.ShutdownRecv) // Recv tells
		}
	})
	defer stop()
	errs := make([]error, len(handles))
	var all sync.WaitGroup
	for i, h := range handles {
		all.Go(func() { errs[i] = t.feed(h) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// feed reads events until there are no more.
func (t *Table) feed(h *divertdrv.Handle) error {
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<16)
	for {
		switch err := h.Recv(b); {
		case errors.Is(err, divertdrv.ErrShutdown):
			return nil
		case err != nil:
			return err
		}
		for i := range b.Packets() {
			t.Event(b.Packets()[i].Addr)
		}
		if err := h.Complete(b); err != nil {
			return err
		}
	}
}
