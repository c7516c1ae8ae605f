package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// words is how packets are read to be summed. The one's complement sum does not care in which byte order all of its words are
// read (RFC 1071 2B); little-endian is free on the machines we run on and right on the others. Fold turns the result round.
var words = binary.LittleEndian

// Sum adds b to a partial Internet checksum (RFC 1071) and returns the new partial sum. A partial sum is opaque: begin with 0 or
// a pseudo header, end with Fold. Of several pieces only the last may be of odd length. It takes gigabytes to overflow.
//
// Each block of 64 bytes is a carry chain of its own, so the processor works on several at once; the rest goes by the bits of
// its length, in 32-bit words, which leave room for their carries. Built with GOEXPERIMENT=simd, pieces of 128 bytes and more
// go through vectors, the widest that the processor has.
func Sum(b []byte, partial uint64) uint64 {
	if len(b) >= vectorMin {
		if wideVectors {
			return sum512(b, partial)
		}
		if vectors {
			return sum256(b, partial)
		}
	}
	i := 0
	for ; i <= len(b)-64; i += 64 {
		p := (*[64]byte)(b[i:])
		a, c := bits.Add64(words.Uint64(p[0:]), words.Uint64(p[8:]), 0)
		a, c = bits.Add64(a, words.Uint64(p[16:]), c)
		a, c = bits.Add64(a, words.Uint64(p[24:]), c)
		a, c = bits.Add64(a, words.Uint64(p[32:]), c)
		a, c = bits.Add64(a, words.Uint64(p[40:]), c)
		a, c = bits.Add64(a, words.Uint64(p[48:]), c)
		a, c = bits.Add64(a, words.Uint64(p[56:]), c)
		partial += halves(a) + c
	}
	if i <= len(b)-32 {
		p := (*[32]byte)(b[i:])
		partial += sum16((*[16]byte)(p[:16])) + sum16((*[16]byte)(p[16:]))
		i += 32
	}
	if i <= len(b)-16 {
		partial += sum16((*[16]byte)(b[i:]))
		i += 16
	}
	if i <= len(b)-8 {
		partial += halves(words.Uint64(b[i:]))
		i += 8
	}
	if i <= len(b)-4 {
		partial += uint64(words.Uint32(b[i:]))
		i += 4
	}
	if i <= len(b)-2 {
		partial += uint64(words.Uint16(b[i:]))
		i += 2
	}
	if i < len(b) {
		partial += uint64(b[i])
	}
	return partial
}

// Fold ends a partial sum: the 16-bit one's complement sum in host order. It is 0 iff all that was summed was 0. A checksum
// field holds its complement; over data that includes a right field it is 0xffff.
func Fold(partial uint64) uint16 { return bits.ReverseBytes16(foldWords(partial)) }

// foldWords is Fold in the byte order of words. Adding a number to itself with the halves swapped leaves in the upper half
// the sum of the halves with the carry brought round.
func foldWords(partial uint64) uint16 {
	partial += bits.RotateLeft64(partial, 32)
	return fold32(uint32(partial >> 32))
}

func fold32(sum uint32) uint16 {
	sum += bits.RotateLeft32(sum, 16)
	return uint16(sum >> 16)
}

// Checksum returns the Internet checksum of b as it is stored in a field, in host order.
func Checksum(b []byte) uint16 { return ^Fold(Sum(b, 0)) }

// PseudoHeader returns the partial sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 768, RFC 8200 8.1). Length
// counts the transport header and its payload in bytes. Both addresses are of one family; an invalid one counts as zeros.
func PseudoHeader(src, dst netip.Addr, proto uint8, length uint32) uint64 {
	return sumAddr(src) + sumAddr(dst) + pseudoTail(proto, length)
}

// pseudoTail is the part of the pseudo header behind the addresses.
func pseudoTail(proto uint8, length uint32) uint64 {
	return uint64(bits.ReverseBytes32(length)) + uint64(proto)<<8
}

func sumAddr(a netip.Addr) uint64 {
	switch {
	case a.Is4():
		b := a.As4()
		return uint64(words.Uint32(b[:]))
	case a.Is6():
		b := a.As16()
		return sum16(&b)
	}
	return 0
}

func sum16(b *[16]byte) uint64 {
	return uint64(words.Uint32(b[0:])) + uint64(words.Uint32(b[4:])) + uint64(words.Uint32(b[8:])) + uint64(words.Uint32(b[12:]))
}
