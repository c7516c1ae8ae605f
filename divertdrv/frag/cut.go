package frag

import (
	"github.com/weirnet/weir/divertdrv/wire"
)

// Cutter makes several packets of one. The zero value is ready; one goroutine uses it at a time. It allocates one buffer, at its
// first use.
//
// What it hands to emit belongs to the Cutter, begins at an address that is aligned for every header, is valid until emit
// returns and must not be changed. An error of emit ends the cutting and is returned as it is. A packet that fits is handed on
// in the caller's own memory with no byte changed.
//
// Checksums that are owed must be there before fragmenting (wire.CalcChecksums): no fragment can be given one. Segments get right
// ones.
type Cutter struct {
	buf []byte
}

// Cut does what Fit says; ErrTooBig for what does not fit.
func (c *Cutter) Cut(pkt []byte, h *wire.Headers, l Limit, emit func([]byte) error) error {
	if Fit(pkt, h, l) == BySegments {
		return c.Segment(pkt, h, segmentSize(h, l), emit)
	}
	return c.Fragment(pkt, h, l, emit)
}

func (c *Cutter) buffer() []byte {
	if c.buf == nil {
		c.buf = make([]byte, wholeLen)
	}
	return c.buf
}
