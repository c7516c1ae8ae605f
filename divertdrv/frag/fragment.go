package frag

import (
	"errors"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Fragment cuts the packet into fragments of at most l.MTU bytes, in order (RFC 791 3.2, RFC 8200 4.5). Fragments can be cut
// again, and keep their identification.
//
// IPv4 options go into later fragments as their copy bit says. IPv6 headers up to a Routing header, or a Hop-by-Hop header if
// there is none, precede the Fragment header in each. All headers are in the first fragment (RFC 7112).
//
// Errors: TooBigError (DF; IPv6 of another sender), ErrNoRoom, ErrMalformed, and those of emit.
func (c *Cutter) Fragment(pkt []byte, h *wire.Headers, l Limit, emit func([]byte) error) error {
	if !whole(pkt, h) {
		return ErrMalformed
	}
	if int(h.Len) <= l.MTU {
		return emit(pkt[:h.Len])
	}
	p, err := plan(pkt, h, l)
	if errors.Is(err, ErrTooBig) {
		return &TooBigError{Len: int(h.Len), MTU: l.MTU}
	}
	if err != nil {
		return err
	}
	return c.fragment(pkt, h, l, p, emit)
}

func (c *Cutter) fragment(pkt []byte, h *wire.Headers, l Limit, p split, emit func([]byte) error) error {
	b := c.buffer()
	p.open(b, pkt, h, l.ID)
	for data := pkt[p.from:h.Len]; len(data) > 0; {
		n := len(data)
		if room := l.MTU - p.head; n > room {
			n = room - room%fragmentUnit
		}
		piece := b[:p.head+copy(b[p.head:], data[:n])]
		data = data[n:]
		p.seal(piece, len(data) > 0 || h.MoreFrags)
		if err := emit(piece); err != nil {
			return err
		}
		p.advance(b, n)
	}
	return nil
}

// split is how a packet is cut.
type split struct {
	from    int  // where what is cut begins in the packet
	head    int  // length of the headers of the next fragment
	off     int  // of the data of the next fragment, in the packet that all are of
	options bool // IPv4: the headers have options that later fragments need not have
}

// plan decides whether and where to cut a packet that is longer than the MTU.
func plan(pkt []byte, h *wire.Headers, l Limit) (split, error) {
	p := split{from: int(h.HeaderLen), off: int(h.FragOff)}
	forbidden, fixed := !l.Sender, 0
	if h.Version == 4 {
		forbidden = h.IPv4(pkt).DF() && !l.IgnoreDF
		fixed, p.head = p.from, p.from
		p.options = p.from > wire.IPv4HeaderLen
	} else {
		perFragment := perFragmentLen(pkt, h)
		fixed = perFragment - wire.IPv6HeaderLen
		p.head = perFragment + wire.FragmentLen
		if p.from = perFragment; h.Fragment {
			p.from = p.head
		}
	}
	n, need := int(h.Len)-p.from, int(chainEnd(pkt, h))-p.from
	room := (l.MTU - p.head) / fragmentUnit * fragmentUnit
	switch {
	case h.MoreFrags && n%fragmentUnit != 0, fixed+p.off+n > maxTotal, p.off == 0 && need > n:
		return p, ErrMalformed
	case forbidden:
		return p, ErrTooBig
	case room < fragmentUnit, p.off == 0 && need > room:
		return p, ErrNoRoom
	}
	return p, nil
}

// perFragmentLen is the length of the IPv6 headers that every fragment has: those that nodes on the way look at (RFC 8200 4.5).
func perFragmentLen(pkt []byte, h *wire.Headers) int {
	if h.Fragment {
		return int(h.FragHeader)
	}
	end, at := wire.IPv6HeaderLen, wire.IPv6HeaderLen
	for x := h.Extensions(pkt); ; {
		proto, header, ok := x.Next()
		if !ok {
			return end
		}
		at += len(header)
		if proto == wire.ProtoHopByHop || proto == wire.ProtoRouting {
			end = at
		}
	}
}

// open writes the headers of the first fragment.
func (p *split) open(b, pkt []byte, h *wire.Headers, id uint32) {
	if h.Fragment {
		copy(b, pkt[:p.head])
		return
	}
	copy(b, pkt[:p.from])
	if h.Version == 4 {
		if ip := h.IPv4(b); ip.ID() == 0 {
			ip.SetID(uint16(id))
		}
		return
	}
	before := &b[nextHeaderAt(pkt, h, uint32(p.from))]
	f := (*wire.FragmentHeader)(b[p.from:])
	*f = wire.FragmentHeader{}
	f.SetNextHeader(*before)
	f.SetID(id)
	*before = wire.ProtoFragment
}

// seal makes the headers say what the fragment is.
func (p *split) seal(piece []byte, more bool) {
	if piece[0]>>4 == 4 {
		ip := (*wire.IPv4Header)(piece)
		ip.SetLength(uint16(len(piece)))
		ip.SetMF(more)
		ip.SetFragOff(uint16(p.off))
		sumIPv4(piece[:p.head])
		return
	}
	(*wire.IPv6Header)(piece).SetPayloadLength(uint16(len(piece) - wire.IPv6HeaderLen))
	f := (*wire.FragmentHeader)(piece[p.head-wire.FragmentLen:])
	f.SetMoreFrags(more)
	f.SetFragOff(uint16(p.off))
}

// advance makes the headers in b those of the fragment that follows one with n bytes of data.
func (p *split) advance(b []byte, n int) {
	p.off += n
	if p.options {
		p.options = false
		p.head = keepCopiedOptions(b[:p.head])
	}
}

// keepCopiedOptions takes the options without the copy bit out of an IPv4 header (RFC 791 3.1), and those behind a malformed
// one, and returns its new length.
func keepCopiedOptions(header []byte) int {
	const copied = 0x80
	h := wire.Headers{Version: 4, HeaderLen: uint16(len(header))}
	n := wire.IPv4HeaderLen
	for o := h.IPv4Options(header); ; {
		kind, data, ok := o.Next()
		if !ok {
			break
		}
		if kind&copied != 0 { // moved down or not at all, so nothing is overwritten that is still to be read
			header[n], header[n+1] = kind, uint8(2+len(data))
			n += 2 + copy(header[n+2:], data)
		}
	}
	for ; n%4 != 0; n++ {
		header[n] = wire.OptEnd
	}
	(*wire.IPv4Header)(header).SetHeaderLen(n)
	return n
}
