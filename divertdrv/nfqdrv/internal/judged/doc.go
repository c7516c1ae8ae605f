// Package judged leaves flows to the kernel: what belongs to a judged flow goes on from the handle's program, without a way through
// user space, and never overtakes what took that way.
//
//	                      ┌─ judged, and nothing of the flow under way ──▶ goes on, counted as passed
//	filter ──▶ match ──▶ Program
//	                      └─ else: diverted[place]++ ──▶ queue ──▶ Note ── verdict ──▶ Done: completed[place]++
//
// A connection mark would let packet n+1 overtake n, which waits in the queue. So the program counts what it diverts, user space
// counts what has gone on, and a packet is let by only where both numbers are the same. The counts are kept for every packet from
// the first on, and not for each flow but for each of Places places that flows are hashed to: there is no moment at which a flow's
// counts begin, with packets before it that nobody counted, and no table that could be full. Two flows at one place wait for each
// other's packets, which costs a detour and breaks nothing.
//
// What is no whole TCP or UDP packet behind an IP header (fragments, extension headers, ICMP) is counted at the place of its two
// addresses alone, and a judged flow waits for that place too: so fragments of its packets are not overtaken.
//
// A packet that the kernel's queue lost is diverted and never completed, and its place would stay closed: Mend opens it again.
// Linux only.
package judged
