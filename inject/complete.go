package inject

import (
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// Complete makes ready what goes out changed, and completes the batch: headers are realigned, a packet that grew past the MTU is
// treated as Config.TooBig says, and one that goes round in a loop is dropped. Checksums and lengths that changed packets owe are
// made good by the handle itself; packets that were not changed are left as they are.
func (j *Injector) Complete(b *divertdrv.Batch) error {
	if j.origins.recent(j.clock) {
		j.breakLoops(b)
	}
	for i := range b.Packets() {
		if goesOutChanged(b, i) {
			return j.completeChanged(b)
		}
	}
	return j.h.Complete(b)
}

// goesOutChanged: packet i is put in anew on the outgoing path.
func goesOutChanged(b *divertdrv.Batch, i int) bool {
	m, _ := b.Outcome(i)
	return m == divertdrv.Pass && b.Changed(i) && b.Packets()[i].Addr.Outbound()
}

func (j *Injector) breakLoops(b *divertdrv.Batch) {
	for i := range b.Packets() {
		if m, _ := b.Outcome(i); m != divertdrv.Pass {
			continue
		}
		if p := &b.Packets()[i]; j.pass(p, false).broken {
			p.Set(divertdrv.Drop, reason.Loop)
		}
	}
}

func (j *Injector) completeChanged(b *divertdrv.Batch) error {
	late := j.shrinkAll(b)
	m := mover{buffers: j.buffers}
	for i := range b.Packets() {
		p := &b.Packets()[i]
		if !goesOutChanged(b, i) || aligned(p.Data) || !j.watch.enforces(Misaligned) {
			continue
		}
		m.move(p)
		j.realigned.Add(1)
	}
	err := j.h.Complete(b)
	m.done()
	for _, hd := range late {
		_ = j.Release(hd, divertdrv.Pass, 0)
	}
	return err
}

// shrinkAll treats the packets that grew past the MTU. Those that go out in pieces are taken out of the batch, and so are the
// packets of their flows that come after them: the order within a flow is kept.
func (j *Injector) shrinkAll(b *divertdrv.Batch) (late []*divertdrv.Held) {
	for i := range b.Packets() {
		p := &b.Packets()[i]
		if m, _ := b.Outcome(i); m != divertdrv.Pass {
			continue
		}
		byDefault := divertdrv.Pass
		if mtu := j.grownPast(p); mtu > 0 && j.shrink(p, mtu) {
			byDefault = divertdrv.Drop
		} else if mtu > 0 || !follows(p, late) {
			continue
		}
		if hd, err := b.Hold(i, 0, byDefault); err == nil {
			late = append(late, hd)
		}
	}
	return late
}

// grownPast returns the MTU that a packet has outgrown since it was received; 0: it has not.
func (j *Injector) grownPast(p *divertdrv.Packet) int {
	if !p.Grown() {
		return 0
	}
	return j.overgrown(p)
}

// follows says whether a packet is of the flow of one in late.
func follows(p *divertdrv.Packet, late []*divertdrv.Held) bool {
	if len(late) == 0 {
		return false
	}
	flow, _, ok := p.Headers().Flow(p.Data)
	return ok && slices.ContainsFunc(late, func(hd *divertdrv.Held) bool {
		k, _, _ := hd.Headers().Flow(hd.Data)
		return k == flow
	})
}

// Release is Held.Release for a packet that may have grown past the MTU while it was held: if it passes, it is treated as
// Config.TooBig says.
func (j *Injector) Release(hd *divertdrv.Held, m divertdrv.Mark, why divertdrv.Cause) error {
	if m != divertdrv.Pass {
		return hd.Release(m, why)
	}
	mtu := j.grownPast(&hd.Packet)
	if mtu == 0 {
		return hd.Release(m, why)
	}
	if j.trim.remedy == Clamp && j.clamp(&hd.Packet, mtu) == nil {
		return hd.Release(m, why)
	}
	whole := hd.Clone()
	if j.trim.remedy != Fragment || !cuttable(whole, mtu) {
		err := hd.Release(divertdrv.Drop, reason.TooBig)
		if err == nil && j.trim.remedy == Answer {
			j.answer(whole, mtu)
		}
		return err
	}
	return j.put(func() error {
		if err := hd.Release(divertdrv.Drop, reason.Fragmented); err != nil {
			return err
		}
		return j.pieces(whole, mtu)
	}, func() { _ = hd.Release(divertdrv.Drop, reason.TooBig) }, nil)
}
