// Package inject puts packets back by the considerations that Microsoft states for callout drivers ("Callout Driver Programming
// Considerations"). It knows packets and handles, not policies.
//
//   - Receive path: the IPv4 header checksum is always computed anew, whatever the packet's Address claims; what was reassembled
//     carries a stale one and nothing marks it. Transport checksums are computed where they are owed, and a packet that was
//     corrupt before it was changed stays corrupt (RFC 1624): corruption is not laundered.
//   - TCP from transport layers and above never goes in inline: while such a classification runs, Inject refuses it.
//   - Outgoing path: the IP header starts at a pointer-aligned address. An aligned packet is not copied; a misaligned one is
//     moved once, into memory that the injector owns.
//   - A packet that merely passes is not changed by one byte.
//
// An injection either returns an error or completes exactly once.
package inject
