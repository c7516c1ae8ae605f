//go:build goexperiment.simd && amd64

package wire

import (
	"simd/archsimd"
	"unsafe"
)

// vectors and wideVectors say whether this processor has those of 256 and of 512 bits. The first processors with VBMI2 are those
// that no longer lower their clock for the wide ones. GODEBUG=cpu.avx512f=off and cpu.avx2=off turn them off.
var (
	vectors     = archsimd.X86.AVX2()
	wideVectors = archsimd.X86.AVX512() && archsimd.X86.AVX512VBMI2()
)

// vectorMin is the length from which vectors are the faster way, in bytes. The functions below need 64.
const vectorMin = 128

// The vectors are read as 64-bit lanes. Of each lane one sum is kept as it is, which loses its carries, and one of its upper half,
// which has none: so the sum of the lower halves is the first less the second in its place, and a vector costs one shift and two
// additions.
//
// The last bytes, of an even length and up to a whole vector, are read as the end of a vector whose beginning, which was added before, is masked
// out: nothing outside of b is read, and p never leaves it. The lanes leave through memory, since the compiler would otherwise
// clear the registers' upper halves before it has added the lanes, and keep them on the stack for so long. They are cleared because code
// for SSE may follow, which waits for them.

func sum512(b []byte, partial uint64) uint64 {
	p, n := unsafe.Pointer(unsafe.SliceData(b)), len(b)&^1
	if n < len(b) {
		partial += uint64(b[n])
	}
	half := archsimd.BroadcastUint64x8(32) // a constant shift would be built anew for every vector
	var s0, s1, h0, h1 archsimd.Uint64x8
	for ; n > 256; n -= 256 {
		v := (*[4][8]uint64)(p) // vectors are loaded from any address
		v0, v1 := archsimd.LoadUint64x8(&v[0]), archsimd.LoadUint64x8(&v[1])
		v2, v3 := archsimd.LoadUint64x8(&v[2]), archsimd.LoadUint64x8(&v[3])
		s0, h0 = s0.Add(v0), h0.Add(v0.ShiftRight(half))
		s1, h1 = s1.Add(v1), h1.Add(v1.ShiftRight(half))
		s0, h0 = s0.Add(v2), h0.Add(v2.ShiftRight(half))
		s1, h1 = s1.Add(v3), h1.Add(v3.ShiftRight(half))
		p = unsafe.Add(p, 256)
	}
	if n > 128 {
		v := (*[2][8]uint64)(p)
		v0, v1 := archsimd.LoadUint64x8(&v[0]), archsimd.LoadUint64x8(&v[1])
		s0, h0 = s0.Add(v0), h0.Add(v0.ShiftRight(half))
		s1, h1 = s1.Add(v1), h1.Add(v1.ShiftRight(half))
		p, n = unsafe.Add(p, 128), n-128
	}
	if n > 64 {
		v := archsimd.LoadUint64x8((*[8]uint64)(p))
		s0, h0 = s0.Add(v), h0.Add(v.ShiftRight(half))
		p, n = unsafe.Add(p, 64), n-64
	}
	last := archsimd.Mask8x64FromBits(^uint64(0) << ((64 - n) & 63))
	end := archsimd.LoadMaskedUint8x64((*[64]byte)(unsafe.Add(p, n-64)), last).AsUint64x8()
	s1, h1 = s1.Add(end), h1.Add(end.ShiftRight(half))
	s0, h0 = s0.Add(s1), h0.Add(h1)
	sum := h0.Add(s0.Sub(h0.ShiftLeft(half)))
	var lanes [4]uint64
	sum.GetLo().Add(sum.GetHi()).Store(&lanes)
	archsimd.ClearAVXUpperBits()
	return partial + ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
}

func sum256(b []byte, partial uint64) uint64 {
	p, n := unsafe.Pointer(unsafe.SliceData(b)), len(b)&^1
	if n < len(b) {
		partial += uint64(b[n])
	}
	half := archsimd.BroadcastUint64x4(32)
	var s0, s1, h0, h1 archsimd.Uint64x4
	for ; n > 128; n -= 128 {
		v := (*[4][4]uint64)(p)
		v0, v1 := archsimd.LoadUint64x4(&v[0]), archsimd.LoadUint64x4(&v[1])
		v2, v3 := archsimd.LoadUint64x4(&v[2]), archsimd.LoadUint64x4(&v[3])
		s0, h0 = s0.Add(v0), h0.Add(v0.ShiftRight(half))
		s1, h1 = s1.Add(v1), h1.Add(v1.ShiftRight(half))
		s0, h0 = s0.Add(v2), h0.Add(v2.ShiftRight(half))
		s1, h1 = s1.Add(v3), h1.Add(v3.ShiftRight(half))
		p = unsafe.Add(p, 128)
	}
	if n > 64 {
		v := (*[2][4]uint64)(p)
		v0, v1 := archsimd.LoadUint64x4(&v[0]), archsimd.LoadUint64x4(&v[1])
		s0, h0 = s0.Add(v0), h0.Add(v0.ShiftRight(half))
		s1, h1 = s1.Add(v1), h1.Add(v1.ShiftRight(half))
		p, n = unsafe.Add(p, 64), n-64
	}
	if n > 32 {
		v := archsimd.LoadUint64x4((*[4]uint64)(p))
		s0, h0 = s0.Add(v), h0.Add(v.ShiftRight(half))
		p, n = unsafe.Add(p, 32), n-32
	}
	last := archsimd.LoadUint8x32((*[32]byte)(lastBytes[n:]))
	end := archsimd.LoadUint8x32((*[32]byte)(unsafe.Add(p, n-32))).And(last).AsUint64x4()
	s1, h1 = s1.Add(end), h1.Add(end.ShiftRight(half))
	s0, h0 = s0.Add(s1), h0.Add(h1)
	var lanes [4]uint64
	h0.Add(s0.Sub(h0.ShiftLeft(half))).Store(&lanes)
	archsimd.ClearAVXUpperBits()
	return partial + ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
}

// lastBytes[n:n+32] masks all but the last n of 32 bytes.
var lastBytes = func() (mask [64]byte) {
	for i := 32; i < 64; i++ {
		mask[i] = 0xff
	}
	return mask
}()
