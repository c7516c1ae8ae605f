package frag

import "strconv"

// Outcome is what became of a fragment. Numbers and names are part of the interface: new ones are added at the end.
type Outcome uint8

// The outcomes. All from Duplicate on are drops.
const (
	NotFragment    Outcome = iota // it is none: not taken, not counted; it goes its way as it is
	Held                          // it waits for the rest of its packet; its token comes back through Config.Release
	Joined                        // it is part of a whole packet
	Duplicate                     // an exact copy of a piece that waits (RFC 8200 4.5)
	Truncated                     // the IP header promises more bytes than there are
	BadLength                     // no data, or more are to follow a length that is no multiple of 8 (IPv6: see Dropped)
	TooLong                       // it would end behind byte 65,535 of the packet (IPv6: see Dropped)
	CutHeader                     // the first piece does not hold the headers up to the transport's (RFC 1858, RFC 3128, RFC 7112)
	Nested                        // a second Fragment header follows the first
	Overlap                       // its packet has pieces that overlap, or that disagree on the end (RFC 5722)
	MixedECN                      // its packet has pieces that met congestion and pieces of a sender that knows no ECN (RFC 3168 5.3)
	TooManyPieces                 // its packet has more than Config.Pieces
	EvictedPackets                // the oldest, when Config.Packets waited
	EvictedBytes                  // the oldest, when Config.Bytes were in use
	Expired                       // the rest did not come in time
	Closed                        // the Reassembler was closed
	outcomes
)

// OutcomeCount is the number of outcomes: the length of tables that are indexed by one.
const OutcomeCount = int(outcomes)

var outcomeNames = [OutcomeCount]string{
	"not-fragment", "held", "joined", "duplicate", "truncated", "bad-length", "too-long", "cut-header", "nested", "overlap",
	"mixed-ecn", "too-many-pieces", "evicted-packets", "evicted-bytes", "expired", "closed",
}

// String returns the outcome's name: lower case, words joined by hyphens.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return "outcome(" + strconv.Itoa(int(o)) + ")"
}

// Dropped says that the fragment is gone and was no part of a whole packet.
//
// RFC 8200 4.5 asks a host to answer two of the drops with an ICMPv6 Parameter Problem, code 0: BadLength (pointing at the
// Payload Length, unless there is no data at all) and TooLong (pointing at the Fragment Offset). The fragment is still in the
// caller's hands then.
func (o Outcome) Dropped() bool { return o > Joined }
