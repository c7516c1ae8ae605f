package inject

import "github.com/weirnet/weir/divertdrv"

// Complete realigns what goes out changed and completes the batch. Checksums and lengths that changed packets owe are made good
// by the handle itself; packets that were not changed are left as they are.
func (j *Injector) Complete(b *divertdrv.Batch) error {
	for i := range b.Packets() {
		if misaligned(b, i) {
			return j.completeRealigned(b)
		}
	}
	return j.h.Complete(b)
}

// misaligned: packet i goes out changed, which is an injection, and its header is not where the outgoing path wants it.
func misaligned(b *divertdrv.Batch, i int) bool {
	m, _ := b.Outcome(i)
	p := &b.Packets()[i]
	return m == divertdrv.Pass && b.Changed(i) && p.Addr.Outbound() && !aligned(p.Data)
}

func (j *Injector) completeRealigned(b *divertdrv.Batch) error {
	var taken [divertdrv.BatchMax][]byte
	for i := range b.Packets() {
		if !misaligned(b, i) {
			continue
		}
		p := &b.Packets()[i]
		taken[i] = j.buffers.take(len(p.Data))
		p.Move(taken[i])
		j.realigned.Add(1)
	}
	err := j.h.Complete(b)
	for _, buf := range taken {
		j.buffers.give(buf)
	}
	return err
}
