package drvtest

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

var completeRules = []Rule{
	{"complete/unmarked-is-dropped", "divertdrv.Drop", nil, completeUnmarked},
	{"complete/marks-by-packet", "divertdrv.Handle.Complete", nil, completeMarks},
	{"complete/once", "divertdrv.Handle.Complete", nil, completeOnce},
	{"complete/by-its-own-handle", "divertdrv.Handle.Complete", nil, completeOwn},
	{"complete/before-the-next-recv", "divertdrv.Handle.Recv", nil, completeBeforeRecv},
	{"complete/nothing-is-touched-after", "divertdrv.Packet", nil, completeAfter},
	{"complete/several-batches-in-any-order", "divertdrv.Handle.Complete", nil, completeSeveral},
	{"complete/a-failed-recv-leaves-the-batch-free", "divertdrv.Handle.Recv", nil, completeFailedRecv},
}

// misuse checks that f panics with divertdrv.Misuse: going on would lose packets in silence.
func (p *probe) misuse(what string, f func()) {
	p.Helper()
	defer func() {
		p.Helper()
		v := recover()
		err, ok := v.(error)
		var m divertdrv.Misuse
		if !ok || !errors.As(err, &m) {
			p.Errorf("%s: panic %v, want divertdrv.Misuse", what, v)
		}
	}()
	f()
}

func completeUnmarked(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	p.send(1, 2)
	p.take(h, func(*divertdrv.Batch, int, int) {}, 1, 2)
	p.rest(low)
	p.hasLeft()
	st := h.Stats()
	p.is("unmarked", st.Dropped[reason.Unmarked], 2)
}

func completeMarks(p *probe) {
	h := p.open(0, 0)
	p.send(seq(1, 9)...)
	p.take(h, func(b *divertdrv.Batch, i, n int) {
		pk := &b.Packets()[i]
		switch n % 3 {
		case 0:
			pk.Set(divertdrv.Pass, 0)
		case 1:
			pk.Set(divertdrv.Drop, reason.Filter)
		case 2:
			pk.Set(divertdrv.Pass, 0)
			pk.Set(divertdrv.Drop, reason.Callout) // the last word counts
		}
	}, seq(1, 9)...)
	p.hasLeft(3, 6, 9)
	st := h.Stats()
	p.is("passed", st.Passed, 3)
	p.is("by filter", st.Dropped[reason.Filter], 3)
	p.is("by callout", st.Dropped[reason.Callout], 3)
}

func completeOnce(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	b := newBatch()
	p.fill(h, b)
	passAll(b, 0, 1)
	p.complete(h, b)
	p.misuse("a second Complete", func() { _ = h.Complete(b) })
	p.misuse("Complete of a batch that was never received into", func() { _ = h.Complete(newBatch()) })
	p.hasLeft(1)
}

func completeOwn(p *probe) {
	h, other := p.open(0, 0), p.open(-1, 0)
	p.send(1)
	b := newBatch()
	p.fill(h, b)
	p.misuse("Complete on another handle", func() { _ = other.Complete(b) })
	passAll(b, 0, 1)
	p.complete(h, b)
	p.rest(other, 1)
	p.hasLeft(1)
}

func completeBeforeRecv(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	b := newBatch()
	p.fill(h, b)
	p.misuse("Recv into a batch that is out", func() { _ = h.Recv(b) })
	passAll(b, 0, 1)
	p.complete(h, b)
	p.hasLeft(1)
}

func completeAfter(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	b := newBatch()
	p.fill(h, b)
	pk := b.Packets()[0]
	p.misuse("Inject of a packet of a batch", func() { _, _ = h.Inject(b.Packets()) })
	pk.Set(divertdrv.Pass, 0)
	p.complete(h, b)
	p.misuse("Set after Complete", func() { pk.Set(divertdrv.Drop, 0) })
	p.misuse("Edit after Complete", func() { pk.Edit() })
	p.misuse("Hold after Complete", func() { _, _ = b.Hold(0, 0, divertdrv.Drop) })
	p.hasLeft(1)
}

func completeSeveral(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3)
	var out []*divertdrv.Batch
	for n := 1; n <= 3; n++ {
		b := divertdrv.NewBatch(1, 2000)
		p.fill(h, b)
		passAll(b, 0, n)
		out = append(out, b)
	}
	p.hasLeft()
	st := h.Stats()
	p.is("in batches", st.InBatch, 3)
	for _, i := range []int{2, 0, 1} {
		p.complete(h, out[i])
	}
	p.hasLeft(3, 1, 2)
}

func completeFailedRecv(p *probe) {
	ended, h := p.open(0, 0), p.open(0, 0)
	p.isErr("Shutdown", ended.Shutdown(divertdrv.ShutdownRecv), nil)
	b := newBatch()
	p.isErr("Recv", p.recv(ended, b), divertdrv.ErrShutdown)
	p.send(1)
	p.fill(h, b)
	passAll(b, 0, 1)
	p.complete(h, b)
	p.hasLeft(1)
}
