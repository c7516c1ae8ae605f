//go:build goexperiment.simd && amd64

package wire

import (
	"simd/archsimd"
	"unsafe"
)

// vectors says whether this processor has them.
var vectors = archsimd.X86.AVX2()

// vectorMin is the length from which vectors are the faster way, in bytes. Below, setting them up and adding their lanes at the end
// costs more than it saves.
const vectorMin = 192

// vectorMax keeps the sums below in 32 bits: of 2^16 words none is more than 2^15 from 0. No packet is longer.
const vectorMax = 1 << 17

// sumVectors adds as many blocks of 32 bytes of b as there are, and returns what is left.
//
// There is one instruction that multiplies signed 16-bit words and adds neighbours in 32 bits. With a factor of 1 it widens and adds
// at once; the words are made signed by turning their upper bit, which takes 2^15 from each.
func sumVectors(b []byte, partial uint64) (rest []byte, sum uint64) {
	n := min(len(b), vectorMax) &^ 31
	flip, one := archsimd.BroadcastInt16x16(-1<<15), archsimd.BroadcastInt16x16(1)
	var s0, s1 archsimd.Int32x8
	block := b[:n]
	for len(block) >= 128 {
		p := (*[4][16]int16)(unsafe.Pointer((*[128]byte)(block))) // vectors are loaded from any address
		s0 = s0.Add(archsimd.LoadInt16x16(&p[0]).Xor(flip).DotProductPairs(one))
		s1 = s1.Add(archsimd.LoadInt16x16(&p[1]).Xor(flip).DotProductPairs(one))
		s0 = s0.Add(archsimd.LoadInt16x16(&p[2]).Xor(flip).DotProductPairs(one))
		s1 = s1.Add(archsimd.LoadInt16x16(&p[3]).Xor(flip).DotProductPairs(one))
		block = block[128:]
	}
	for len(block) >= 32 {
		p := (*[16]int16)(unsafe.Pointer((*[32]byte)(block)))
		s0 = s0.Add(archsimd.LoadInt16x16(p).Xor(flip).DotProductPairs(one))
		block = block[32:]
	}
	s0 = s0.Add(s1)
	half := s0.GetLo().Add(s0.GetHi())
	half = half.AddPairs(half)
	signed := half.GetElem(0) + half.GetElem(1)
	archsimd.ClearAVXUpperBits() // what follows may be code for SSE, which waits for them
	return b[n:], partial + uint64(int64(signed)+int64(n/2)<<15)
}
