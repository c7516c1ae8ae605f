package frag

import "sync/atomic"

// Stats is what a Reassembler has done. Between two calls of its methods Fragments = the sum of Outcomes + Waiting.
type Stats struct {
	Fragments uint64               // given to Add
	Outcomes  [OutcomeCount]uint64 // fragments by what became of them; Held and NotFragment stay 0
	Wholes    uint64               // packets joined, atomic fragments too

	Waiting int // fragments that wait now
	Packets int // packets that have a place now: waiting ones, and those refused until their time is up
	Bytes   int // memory that waiting fragments take now, at most Config.Bytes
}

// Dropped is the number of fragments that were dropped, for whatever cause.
func (s *Stats) Dropped() uint64 {
	var n uint64
	for _, of := range s.Outcomes[Joined+1:] {
		n += of
	}
	return n
}

// counters has one writer, the goroutine that owns the Reassembler, and any number of readers.
type counters struct {
	fragments, wholes       atomic.Uint64
	outcomes                [OutcomeCount]atomic.Uint64
	waiting, packets, bytes atomic.Int64
}

// Stats returns a snapshot. It may be called from any goroutine; taken while Add runs, the sums may be off by that fragment.
func (r *Reassembler) Stats() Stats {
	s := Stats{
		Fragments: r.count.fragments.Load(),
		Wholes:    r.count.wholes.Load(),
		Waiting:   int(r.count.waiting.Load()),
		Packets:   int(r.count.packets.Load()),
		Bytes:     int(r.count.bytes.Load()),
	}
	for i := range s.Outcomes {
		s.Outcomes[i] = r.count.outcomes[i].Load()
	}
	return s
}
