package frag

import (
	"errors"
	"fmt"
)

// The errors of cutting; test them with errors.Is.
var (
	ErrTooBig        = errors.New("packet is longer than the MTU and must not be cut")
	ErrMalformed     = errors.New("not a whole IP packet, or a fragment of impossible length")
	ErrNoSegments    = errors.New("not a TCP or UDP packet that can be cut into segments")
	ErrNoRoom        = errors.New("MTU leaves no room for the headers and 8 bytes of data")
	ErrNoSegmentSize = errors.New("segment size is not positive; give that of the super-packet")
)

// TooBigError is ErrTooBig with what the sender is to be told in ICMP Fragmentation Needed or ICMPv6 Packet Too Big.
type TooBigError struct {
	Len, MTU int // of the packet, and of the link that it does not fit; in bytes, IP header included
}

func (e *TooBigError) Error() string {
	return fmt.Sprintf("%v: %d bytes for an MTU of %d", ErrTooBig, e.Len, e.MTU)
}

// Unwrap returns ErrTooBig.
func (e *TooBigError) Unwrap() error { return ErrTooBig }
