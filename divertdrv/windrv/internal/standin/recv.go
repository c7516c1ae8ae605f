package standin

import (
	"errors"
	"slices"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

func (e *end) enqueue(f *frame) {
	if e.handle == nil || e.opts.Flags&divertdrv.SendOnly != 0 {
		e.answer(f, InvalidParameter, 0, nil)
		return
	}
	e.mu.Lock()
	e.waiting = append(e.waiting, f)
	e.some.Broadcast()
	e.mu.Unlock()
}

// cancel gives a Recv up. One that has its packets already keeps them.
func (e *end) cancel(f *frame) {
	e.mu.Lock()
	found := e.current != nil && e.current.id == f.id
	if found {
		e.current = nil
	}
	if i := slices.IndexFunc(e.waiting, func(w *frame) bool { return w.id == f.id }); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
		found = true
	}
	e.mu.Unlock()
	if found {
		f.operation = Recv
		e.answer(f, Cancelled, 0, nil)
	}
}

// read answers Recv requests in their order, until the handle is closed.
func (e *end) read() {
	var b *divertdrv.Batch
	size := [2]int{}
	for {
		f := e.next()
		if f == nil {
			return
		}
		if x, ok := e.takeExtra(); ok {
			e.finish(f, []extra{x})
			continue
		}
		if want := [2]int{max(int(f.addresses)/addrBytes, 1), int(f.room)}; b == nil || want != size {
			b, size = divertdrv.NewBatch(want[0], want[1]), want
		}
		got, err := e.fill(b)
		if err == nil {
			e.finish(f, got)
			continue
		}
		e.mu.Lock()
		asked := e.current != nil
		e.current = nil
		e.mu.Unlock()
		if asked {
			e.answer(f, statusOf(err), 0, nil)
		}
	}
}

// next waits for a request; nil: the handle is closed.
func (e *end) next() *frame {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.waiting) == 0 && !e.over {
		e.some.Wait()
	}
	if e.over {
		for _, f := range e.waiting {
			go e.answer(f, Cancelled, 0, nil)
		}
		e.waiting = nil
		return nil
	}
	e.current, e.waiting = e.waiting[0], e.waiting[1:]
	return e.current
}

func (e *end) takeExtra() (x extra, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.extra) == 0 {
		return extra{}, false
	}
	x, e.extra = e.extra[0], e.extra[1:]
	return x, true
}

// fill takes packets out for good: what the program does not send is gone.
func (e *end) fill(b *divertdrv.Batch) (got []extra, err error) {
	if err := e.handle.Recv(b); err != nil {
		return nil, err
	}
	for i := range b.Packets() {
		p := &b.Packets()[i]
		got = append(got, extra{*p.Addr, slices.Clone(p.Data)})
		p.Set(divertdrv.Drop, reason.Callout)
	}
	if err := e.handle.Complete(b); err != nil && !errors.Is(err, divertdrv.ErrClosed) {
		return nil, err
	}
	return got, nil
}

// finish answers with packets; if the request was cancelled meanwhile they are kept for the next.
func (e *end) finish(f *frame, got []extra) {
	e.mu.Lock()
	asked := e.current != nil
	e.current = nil
	if !asked {
		e.extra = append(e.extra, got...)
	}
	e.mu.Unlock()
	if !asked {
		return
	}
	var payload []byte
	for i := range got {
		if f.addresses > 0 {
			payload = append(payload, (*[addrBytes]byte)(unsafe.Pointer(&got[i].addr))[:]...)
		}
	}
	n := len(payload)
	for i := range got {
		payload = append(payload, got[i].data...)
	}
	status := OK
	if e.layer <= divertdrv.NetworkForward && len(got) == 1 && cut(got[0].data) {
		status = BufferTooSmall
	}
	e.answer(f, status, n, payload)
}

// cut says that a packet is shorter than its header says.
func cut(data []byte) bool {
	var h wire.Headers
	return !wire.Parse(data, &h) || int(h.Len) > len(data) || h.Truncated
}
