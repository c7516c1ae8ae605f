package drvtest

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

var batchRules = []Rule{
	{"batch/sizes", "WinDivert 5.6, WINDIVERT_BATCH_MAX; divertdrv.BatchMax", nil, batchSizes},
	{"batch/does-not-wait-to-be-full", "WinDivert 5.6", nil, batchAtOnce},
	{"batch/waits-for-the-first", "WinDivert 5.5", nil, batchWaits},
	{"batch/what-does-not-fit-stays-queued", "WinDivert 5.6", nil, batchBytes},
	{"batch/a-packet-larger-than-the-batch-is-cut", "WinDivert 5.5, ERROR_INSUFFICIENT_BUFFER; divertdrv.NewBatch", nil, batchCut},
	{"batch/memory-is-the-batch's", "divertdrv.Batch", nil, batchMemory},
}

// large is the memory of a batch that no other rule asks for, in bytes.
const large = 1 << 16

// Batches of every size bring all packets in their order, never more at once than the batch has room for.
func batchSizes(p *probe) {
	const packets = 260
	for _, size := range []int{1, 2, 7, divertdrv.BatchMax} {
		h := p.open(0, 0)
		p.send(seq(1, packets)...)
		b := divertdrv.NewBatch(size, 1<<15)
		for next := 1; next <= packets; {
			p.fill(h, b)
			if b.Len() > size {
				p.Fatalf("%d packets in a batch for %d", b.Len(), size)
			}
			for i := range b.Packets() {
				if n, _ := number(b.Packets()[i].Data); n != next {
					p.Fatalf("batches of %d: packet %d came, want %d", size, n, next)
				}
				next++
				b.Packets()[i].Set(divertdrv.Pass, 0)
			}
			p.complete(h, b)
		}
		p.hasLeft(seq(1, packets)...)
		p.isErr("Close", h.Close(), nil)
	}
}

// One packet is enough, whatever there is room for.
func batchAtOnce(p *probe) {
	h := p.open(0, 0)
	p.send(1)
	b := divertdrv.NewBatch(divertdrv.BatchMax, large)
	p.fill(h, b)
	p.is("packets", uint64(b.Len()), 1)
	passAll(b, 0, 1)
	p.complete(h, b)
	p.hasLeft(1)
}

// Recv blocks while there is nothing, and then brings what comes.
func batchWaits(p *probe) {
	h := p.open(0, 0)
	b := newBatch()
	done := make(chan error, 1)
	go func() { done <- h.Recv(b) }()
	p.letBlock()
	select {
	case err := <-done:
		p.Fatalf("Recv of nothing returned %d packets, %v", b.Len(), err)
	default:
	}
	sent := p.sendAs(spec{n: 1})
	if err := p.await("Recv", done); err != nil || b.Len() != 1 {
		p.Fatalf("Recv: %v, %d packets, want 1", err, b.Len())
	}
	if d := differ(b.Packets()[0].Data, sent); d != "" {
		p.Errorf("the packet that a Recv waited for: %s", d)
	}
	passAll(b, 0, 1)
	p.complete(h, b)
	p.hasLeft(1)
}

func batchBytes(p *probe) {
	const size = 500
	h := p.open(0, 0)
	for n := 1; n <= 9; n++ {
		p.sendAs(spec{n: n, size: size})
	}
	p.w.Network.Settle()
	b := divertdrv.NewBatch(64, 2*size+200)
	for next := 1; next <= 9; {
		p.fill(h, b)
		if b.Len() > 2 {
			p.Fatalf("%d packets of %d bytes in a batch of %d bytes", b.Len(), size, 2*size+200)
		}
		for i := range b.Packets() {
			pk := &b.Packets()[i]
			if d := differ(pk.Data, p.w.build(spec{n: next, size: size})); d != "" {
				p.Fatalf("packet %d: %s", next, d)
			}
			pk.Set(divertdrv.Pass, 0)
			next++
		}
		p.complete(h, b)
	}
	p.hasLeft(seq(1, 9)...)
}

// The start of such a packet is seen. It must not go on short: it goes whole, or not at all and is counted.
func batchCut(p *probe) {
	h := p.open(0, 0)
	whole := p.sendAs(spec{n: 1, size: 1000})
	p.send(2)
	b := divertdrv.NewBatch(4, 120)
	p.fill(h, b)
	pk := &b.Packets()[0]
	if b.Len() != 1 || len(pk.Data) == 0 || len(pk.Data) > 120 || differ(pk.Data, whole[:len(pk.Data)]) != "" {
		p.Fatalf("%d packets, the first has %d bytes: %x", b.Len(), len(pk.Data), pk.Data)
	}
	pk.Set(divertdrv.Pass, 0)
	p.complete(h, b)
	p.gather()
	out := p.arrived
	p.arrived = nil
	st := h.Stats()
	switch {
	case len(out) == 1 && differ(out[0].Data, whole) == "":
	case len(out) == 0 && st.DroppedTotal() == 1 && st.Dropped[reason.Unmarked] == 0:
	default:
		p.Errorf("a packet that was cut passed, %d packets left; %+v", len(out), st)
	}
	p.rest(h, 2)
	p.hasLeft(2)
}

// What a user writes into one packet, or behind its end, is not in another.
func batchMemory(p *probe) {
	h := p.open(0, 0)
	p.send(1, 2, 3)
	b := newBatch()
	for got := 0; got < 3; {
		p.fill(h, b)
		for i := range b.Packets() {
			pk := &b.Packets()[i]
			if cap(pk.Data) != len(pk.Data) {
				p.Errorf("packet %d can be appended to in place", i)
			}
		}
		for i := range b.Packets() {
			got++
			if d := differ(b.Packets()[i].Data, p.w.build(spec{n: got})); d != "" {
				p.Errorf("packet %d: %s", got, d)
			}
			passAll(b, i, got)
		}
		p.complete(h, b)
	}
	p.hasLeft(1, 2, 3)
}
