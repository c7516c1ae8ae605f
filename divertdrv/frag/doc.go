// Package frag joins and cuts IP packets: reassembly of fragments, fragmentation, and segmentation of super-packets. It knows
// bytes only; who receives and who sends them is not its business, so drivers and injection share it.
//
// The path of a fragment:
//
//  1. Reassembler.Add judges it alone (judge.go): lengths, tiny fragments, the header chain. An atomic fragment is done here.
//  2. It finds the packet that the fragment is part of, or makes room for a new one (waiting.go).
//  3. It places the piece, or finds that it is a copy or an overlap (place.go), and copies its bytes (store.go).
//  4. With the last piece the whole is built (join.go), and the tokens of the others go back through Config.Release.
//
// A packet that is too long goes the other way: Fit says how it can be sent, and a Cutter cuts it (cut.go, fragment.go,
// segment.go).
//
// # Overlaps
//
// There is one policy, and it cannot be configured: fragments that overlap, or that disagree on where the packet ends, condemn
// the whole packet, in IPv6 (RFC 5722, RFC 8200 4.5) and in IPv4 alike. Nobody sends such fragments but to have a filter read
// other bytes than the receiver does, and every rule that picks a winner is the wrong one for some receiver. No answer is sent,
// and what belongs to the packet is refused until its time is up, as RFC 5722 asks, so that the rest cannot be joined to
// something else. An exact copy (same place, same bytes) is what networks that duplicate packets make; it is dropped alone.
//
// # Limits and ownership
//
// Memory is bounded in packets, in bytes and in pieces of one packet; at a limit the oldest packet goes. Every fragment has
// one Outcome, and each is counted: given = joined + dropped by outcome + waiting. Fragments are copied, so the caller keeps
// its buffer; what is handed out belongs to the Reassembler or Cutter and is valid until its next call, or until emit returns.
// Nothing here blocks, starts a goroutine, or panics on any bytes; in the steady state nothing allocates.
package frag
