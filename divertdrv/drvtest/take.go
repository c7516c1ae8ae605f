package drvtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Batches of the suite, where their size is not what is tested.
const (
	roomPackets = 64
	roomBytes   = 1 << 14
)

func newBatch() *divertdrv.Batch { return divertdrv.NewBatch(roomPackets, roomBytes) }

// recv is Recv with patience.
func (p *probe) recv(h *handle, b *divertdrv.Batch) error {
	p.Helper()
	return p.within("Recv", func() error { return h.Recv(b) })
}

// fill is Recv that must bring something.
func (p *probe) fill(h *handle, b *divertdrv.Batch) {
	p.Helper()
	if err := p.recv(h, b); err != nil {
		p.Fatalf("Recv: %v, want packets", err)
	}
	if b.Len() == 0 {
		p.Fatalf("Recv returned without a packet and without an error")
	}
}

func (p *probe) complete(h *handle, b *divertdrv.Batch) {
	p.Helper()
	if err := h.Complete(b); err != nil {
		p.Fatalf("Complete: %v", err)
	}
}

// judge decides about one packet of a batch.
type judge func(b *divertdrv.Batch, i, n int)

func passAll(b *divertdrv.Batch, i, _ int) { b.Packets()[i].Set(divertdrv.Pass, 0) }

func dropAll(b *divertdrv.Batch, i, _ int) { b.Packets()[i].Set(divertdrv.Drop, reason.Filter) }

// take receives exactly the packets of those numbers, in that order and in as many batches as the driver likes, has each judged,
// and completes them. It returns copies.
func (p *probe) take(h *handle, j judge, want ...int) []*divertdrv.Packet {
	p.Helper()
	var got []int
	var copies []*divertdrv.Packet
	for b := newBatch(); len(got) < len(want); {
		p.fill(h, b)
		for i := range b.Packets() {
			n, _ := number(b.Packets()[i].Data)
			got = append(got, n)
			copies = append(copies, clone(&b.Packets()[i]))
			j(b, i, n)
		}
		p.complete(h, b)
	}
	if !slices.Equal(got, want) {
		p.Fatalf("received %v, want %v", got, want)
	}
	return copies
}

// clone makes a packet that knows nothing of where it comes from.
func clone(pk *divertdrv.Packet) *divertdrv.Packet {
	return divertdrv.NewPacket(*pk.Addr, bytes.Clone(pk.Data))
}

// pass takes these packets and lets them pass.
func (p *probe) pass(h *handle, want ...int) []*divertdrv.Packet {
	p.Helper()
	return p.take(h, passAll, want...)
}

// rest ends receiving and checks that exactly these packets were still to be read. They pass. It needs no time to know that
// nothing else comes (WinDivert 5.9).
func (p *probe) rest(h *handle, want ...int) []*divertdrv.Packet {
	p.Helper()
	return p.restBy(h, passAll, want...)
}

func (p *probe) restBy(h *handle, j judge, want ...int) []*divertdrv.Packet {
	p.Helper()
	p.w.Network.Settle()
	if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
		p.Fatalf("Shutdown: %v", err)
	}
	var got []int
	var copies []*divertdrv.Packet
	b := newBatch()
	err := p.recv(h, b)
	for ; err == nil; err = p.recv(h, b) {
		for i := range b.Packets() {
			n, _ := number(b.Packets()[i].Data)
			got = append(got, n)
			copies = append(copies, clone(&b.Packets()[i]))
			j(b, i, n)
		}
		p.complete(h, b)
	}
	if !errors.Is(err, divertdrv.ErrShutdown) {
		p.Fatalf("Recv after Shutdown(recv): %v, want ErrShutdown", err)
	}
	if !slices.Equal(got, want) {
		p.Fatalf("received %v, want %v", got, want)
	}
	return copies
}

// free makes a packet of the suite that was never received.
func (p *probe) free(s spec) *divertdrv.Packet {
	var a divertdrv.Address
	a.SetOutbound(s.way != Inbound)
	a.SetIPv6(s.ipv6)
	a.SetChecksums(true)
	a.SetInterface(p.w.IfIdx, 0)
	return divertdrv.NewPacket(a, p.w.build(s))
}

// inject puts one packet in and fails the rule if that fails.
func (p *probe) inject(h *handle, pk *divertdrv.Packet) {
	p.Helper()
	if n, err := h.Inject([]divertdrv.Packet{*pk}); n != 1 || err != nil {
		p.Fatalf("Inject: %d went in, %v", n, err)
	}
}

// is checks a number of the handle's books.
func (p *probe) is(what string, got, want uint64) {
	p.Helper()
	if got != want {
		p.Errorf("%s: %d, want %d", what, got, want)
	}
}

// isErr checks what an error wraps.
func (p *probe) isErr(what string, got, want error) {
	p.Helper()
	if !errors.Is(got, want) {
		p.Errorf("%s: %v, want %v", what, got, want)
	}
}

// seq returns the numbers from first to last.
func seq(first, last int) []int {
	s := make([]int, 0, last-first+1)
	for n := first; n <= last; n++ {
		s = append(s, n)
	}
	return s
}

// hasLeftSorted is hasLeft where the order is nobody's.
func (p *probe) hasLeftSorted(want ...int) {
	p.Helper()
	p.gather()
	slices.SortFunc(p.arrived, func(a, b Arrival) int {
		m, _ := number(a.Data)
		n, _ := number(b.Data)
		return m - n
	})
	p.hasLeft(want...)
}

// repaired is what a packet of the suite must be when its payload was changed and tail added: lengths and checksums follow.
func (p *probe) repaired(data, tail []byte) []byte {
	p.Helper()
	b := append(bytes.Clone(data), tail...)
	udp := wire.IPv4HeaderLen
	if b[0]>>4 == 6 {
		udp = wire.IPv6HeaderLen
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6HeaderLen))
	} else {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
	binary.BigEndian.PutUint16(b[udp+4:], uint16(len(b)-udp))
	wire.CalcChecksums(b, 0)
	return b
}
