package processor

import (
	"math/bits"

	"github.com/weirnet/weir/divertdrv/filter"
)

// Weighting says what a filter's weight is: the types that FWPM_FILTER0.weight may have ("Filter Weight Assignment").
type Weighting uint8

// The ways to give a weight.
const (
	WeightExact Weighting = iota // FWP_UINT64: Weight itself
	WeightAuto                   // FWP_EMPTY: found from the conditions, below 2^60; Weight is 0
	WeightClass                  // FWP_UINT8: Weight is the upper four bits, 0 to 15; the lower 60 are found from the conditions
)

const (
	classMax  = 15
	autoBits  = 60
	fineBits  = 8 // of a logarithm, behind the point
	countBits = 4 // of the number of dimensions
)

// weight is what filters are ordered by.
func (f *Filter) weight(bounds *[filter.Dimensions][]filter.Range) uint64 {
	switch f.Weighting {
	case WeightAuto:
		return f.autoWeight(bounds)
	case WeightClass:
		return f.Weight<<autoBits | f.autoWeight(bounds)
	}
	return f.Weight
}

func (f *Filter) checkWeight() error {
	switch {
	case f.Weighting > WeightClass:
		return filterError(ErrInvalidWeight, f.Name, "weighting %d is unknown", f.Weighting)
	case f.Weighting == WeightAuto && f.Weight != 0:
		return filterError(ErrInvalidWeight, f.Name, "an automatic weight and the weight %d exclude each other", f.Weight)
	case f.Weighting == WeightClass && f.Weight > classMax:
		return filterError(ErrInvalidWeight, f.Name, "weight class %d, want 0 to %d", f.Weight, classMax)
	}
	return nil
}

// autoWeight is the automatic weight of conditions. WFP does not document how it finds its own. Here a filter is the heavier, the
// fewer packets its conditions let through: each dimension of packets (kind, addresses, ports) adds the bits by which the
// conditions narrow it down, as the length of a prefix does, in 256ths. Of filters that are as narrow, the one that is bounded in
// more dimensions is heavier; one with conditions that no dimension tells (outbound, length) is heavier than one without any.
func (f *Filter) autoWeight(bounds *[filter.Dimensions][]filter.Range) uint64 {
	if bounds == nil || f.When == nil && f.Sets == nil {
		return 0
	}
	if f.Sets == nil {
		if always, constant := f.When.Always(); constant && always {
			return 0
		}
	}
	narrow, count := uint64(0), uint64(0)
	for d, ranges := range bounds {
		if ranges == nil {
			continue
		}
		if len(ranges) == 0 {
			return 1<<autoBits - 1 // no packet meets them
		}
		if n := narrowness(filter.Dimension(d), ranges); n > 0 {
			narrow += n
			count++
		}
	}
	return (narrow<<countBits|count)<<1 | 1
}

// kinds is how many IP versions with their transports there are.
const kinds = 8

// narrowness is the logarithm of how much of a dimension ranges leave out, with fineBits behind the point; 0: nothing. Of addresses
// that is of IPv4 or IPv6, whichever is left more of.
func narrowness(d filter.Dimension, ranges []filter.Range) uint64 {
	switch d {
	case filter.ByKind:
		return leftOut(ranges, 0, filter.NoKey, kinds)
	case filter.BySrcPort, filter.ByDstPort:
		if last := len(ranges) - 1; last >= 0 && ranges[last].Hi == filter.NoKey {
			return 0 // also what has no port
		}
		return leftOut(ranges, 0, 1<<16, 1<<16)
	}
	const v4 = 1 << 32
	narrow4, narrow6 := leftOut(ranges, 0, v4-1, v4), leftOut(ranges, v4, filter.NoKey, filter.NoKey)
	switch {
	case len(ranges) == 0 || ranges[len(ranges)-1].Hi < v4:
		return narrow4
	case ranges[0].Lo >= v4:
		return narrow6
	}
	return min(narrow4, narrow6)
}

// leftOut is the logarithm of size over the keys that ranges have from lo to hi.
func leftOut(ranges []filter.Range, lo, hi, size uint64) uint64 {
	left := uint64(0)
	for _, r := range ranges {
		if from, to := max(r.Lo, lo), min(r.Hi, hi); from <= to {
			left += to - from + 1
		}
	}
	if all, some := log2(size), log2(max(left, 1)); some < all {
		return all - some
	}
	return 0
}

// log2 is the logarithm of v, at least 1, with fineBits behind the point; between powers of two it is straight.
func log2(v uint64) uint64 {
	whole := bits.Len64(v) - 1
	fine := v << (63 - whole) << 1 >> (64 - fineBits)
	return uint64(whole)<<fineBits | fine
}
