// Package wire reads and repairs the headers of IP packets in place: views of IPv4, IPv6, TCP, UDP, ICMP and ICMPv6, the key
// of a packet's flow, and the Internet checksum.
//
// A packet is a byte slice that starts with its IP header and belongs to the caller. Parse checks the bounds once; what it
// then says is valid can be read without further checks, and a view of what is absent is nil. Nothing here allocates, blocks,
// or panics on any bytes; what is not understood lowers what is known. The package imports std only and is public, since
// whoever embeds Weir reads headers too.
package wire
