package inject

import (
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
)

// pointerSize is what the outgoing path asks of an IP header's address: the stack reads header fields through aligned structures.
const pointerSize = 8

func aligned(b []byte) bool { return len(b) == 0 || offset(b) == 0 }

// offset is how far behind an aligned address b begins.
func offset(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) % pointerSize }

// buffers is a bounded pool of aligned memory, each buffer for one packet of any size. It is filled as needed and may be used
// from any goroutine.
type buffers chan []byte

func newBuffers(n int) buffers {
	b := make(buffers, n)
	for range n {
		b <- nil // made when first taken
	}
	return b
}

// take returns aligned memory for n bytes. When the pool is empty the memory is new, since a misaligned packet must not go out.
func (b buffers) take(n int) []byte {
	select {
	case buf := <-b:
		if buf == nil {
			buf = make([]byte, divertdrv.MTUMax)
		}
		return buf
	default:
		return make([]byte, max(n, 2*pointerSize)) // what is smaller the allocator may put anywhere
	}
}

// give takes a buffer back; one that was made for a single packet is left to the garbage collector.
func (b buffers) give(buf []byte) {
	if len(buf) != divertdrv.MTUMax {
		return
	}
	select {
	case b <- buf:
	default:
	}
}

// mover moves the packets of one batch to aligned addresses, as many into one buffer as fit.
type mover struct {
	buffers
	taken [divertdrv.BatchMax][]byte
	n     int    // buffers taken
	rest  []byte // of the last one; starts at an aligned address
}

func (m *mover) move(p *divertdrv.Packet) {
	n := len(p.Data)
	if len(m.rest) < n {
		m.rest = m.take(n)
		m.taken[m.n] = m.rest
		m.n++
	}
	p.Move(m.rest)
	m.rest = m.rest[min((n+pointerSize-1)&^(pointerSize-1), len(m.rest)):]
}

// done gives the buffers back, once nobody reads the packets any more.
func (m *mover) done() {
	for _, buf := range m.taken[:m.n] {
		m.give(buf)
	}
}
