// Package stream puts the bytes of TCP connections in order, for who reads what is said rather than packets: a callout that looks for a
// name in a ClientHello, a program that reads a capture.
//
// It takes packets as they come and changes none. What is in order is handed on at once and in place, without a copy; what is ahead of
// a gap is copied and waits, within bounds, until the gap is filled, too much waits, or it has waited for too long: then reading goes
// on behind the gap, and the reader is told how much it did not get. Nothing is lost in silence: of the payload that came,
//
//	in = delivered + repeated + unread + waiting
//
// Where segments overlap, the bytes that came first stand, whether they were handed on or still wait. Systems differ in this (RFC 9293
// does not say), and who wants to be read differently by a host and by its observer makes use of it: repeated bytes that differ from
// those that wait are counted as conflicts. Checksums are not looked at, and neither is whether a segment's TTL takes it to its
// receiver; drop what is wrong before it is added.
package stream
