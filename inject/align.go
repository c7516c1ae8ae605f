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
		return make([]byte, max(n, pointerSize))
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
