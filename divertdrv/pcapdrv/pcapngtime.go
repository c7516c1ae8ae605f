package pcapdrv

import (
	"math"
	"math/bits"
)

const (
	microseconds = 6             // if_tsresol where an interface has none
	second       = 1_000_000_000 // nanoseconds
	binaryUnit   = 0x80          // bit of if_tsresol: the unit is a power of 2, not of 10
)

// nanoseconds returns the time of ticks since the epoch in units of resolution (if_tsresol), offset seconds later. What does
// not fit becomes the nearest that does.
func nanoseconds(ticks uint64, resolution uint8, offset int64) int64 {
	var hi, lo uint64
	switch e := uint(resolution &^ binaryUnit); {
	case resolution&binaryUnit != 0:
		hi, lo = bits.Mul64(ticks, second)
		lo = lo>>e | hi<<(64-e) | hi>>(e-64) // a shift by 64 or more, or by less than 0 as uint, is 0
		hi >>= e
	case e <= 9:
		hi, lo = bits.Mul64(ticks, powerOf10(9-e))
	case e-9 <= 19:
		lo = ticks / powerOf10(e-9)
	}
	return addSeconds(hi, lo, offset)
}

// powerOf10 is exact up to 19.
func powerOf10(e uint) uint64 {
	p := uint64(1)
	for range e {
		p *= 10
	}
	return p
}

// addSeconds adds to the 128 bits of hi and lo, which are less than 2^95, and only then looks what fits.
func addSeconds(hi, lo uint64, seconds int64) int64 {
	size := uint64(seconds)
	if seconds < 0 {
		size = -size
	}
	offHi, offLo := bits.Mul64(size, second)
	var carry uint64
	if seconds >= 0 {
		lo, carry = bits.Add64(lo, offLo, 0)
		hi, _ = bits.Add64(hi, offHi, carry)
	} else {
		lo, carry = bits.Sub64(lo, offLo, 0)
		hi, _ = bits.Sub64(hi, offHi, carry)
	}
	sign := uint64(int64(lo) >> 63) // what hi is if lo alone says it all
	switch {
	case hi == sign:
		return int64(lo)
	case int64(hi) < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}
