package simdrv

import (
	"math/rand/v2"
	"time"
)

// Faults says what goes wrong on a wire: each is the chance, 0 to 1, that it befalls a packet. What befalls a wire's nth packet
// follows from the seed and n alone: to change one chance, or the packets, does not change the luck of the others.
type Faults struct {
	Seed      uint64
	Drop      float64 // the packet is lost
	Duplicate float64 // it comes twice
	Reorder   float64 // it comes up to DelayMax later than it should; others overtake it
	Delay     float64 // it and all behind it come up to DelayMax later
	Corrupt   float64 // one bit of it is another
	Truncate  float64 // its end is missing

	DelayMax time.Duration // 0: 10 ms
}

// fate is what befalls one packet.
type fate struct {
	drop, twice bool
	slow, late  time.Duration // by Delay and Reorder; 0: it is not
	damage      [2]damage     // of the packet and of its duplicate
}

// damage says where, for a packet of any length.
type damage struct {
	corrupt, truncate bool
	bit, end          uint64 // modulo the bits and bytes that there are
}

// luck is where fates come from.
type luck struct {
	faults Faults
	source rand.PCG
	rng    *rand.Rand // of source
}

func newLuck(f Faults) *luck {
	l := &luck{faults: f}
	l.rng = rand.New(&l.source)
	return l
}

// befalls draws the fate of the nth packet: always the same draws in the same order, whatever they come to.
func (l *luck) befalls(n uint64) (x fate) {
	l.source.Seed(l.faults.Seed, n)
	f := &l.faults
	x.drop, x.twice = l.chance(f.Drop), l.chance(f.Duplicate)
	x.slow, x.late = l.some(f.Delay), l.some(f.Reorder)
	for i := range x.damage {
		x.damage[i] = damage{l.chance(f.Corrupt), l.chance(f.Truncate), l.rng.Uint64(), l.rng.Uint64()}
	}
	return x
}

func (l *luck) chance(of float64) bool { return l.rng.Float64() < of }

// some is by how much a packet is late; 0: it is not.
func (l *luck) some(of float64) time.Duration {
	hit, much := l.chance(of), time.Duration(1+l.rng.Int64N(int64(l.faults.DelayMax)))
	if !hit {
		return 0
	}
	return much
}
