package stack

import (
	"encoding/binary"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// How inbound fragments walk (WinDivert: WINDIVERT_FLAG_FRAGMENTS; the Windows stack indicates each fragment, then the whole
// packet). A handle with the flag sees the fragments, one without it the packet that they make, none sees both; a packet
// that came in one piece is seen by either. So a fragment walks past the handles with the flag, then waits for the rest of its
// packet, which walks past the handles without. What a Source makes is taken as it is: it is a recording, or stands for one.

// joiner reassembles.
type joiner struct {
	frag  *frag.Reassembler // nil: fragments are packets like others
	below rank              // the lowest that a piece of the packet being joined may be seen below
}

func (j *joiner) open(now func() time.Time) {
	j.frag = frag.NewReassembler(frag.Config{Now: now, Release: func(below uint64, o frag.Outcome) {
		if o == frag.Joined {
			j.below = min(j.below, rank(below))
		}
	}})
}

func (s *Stack) joins() bool { return s.joiner.frag != nil }

// mayBeFragment spares most packets a parse: false is certain.
func mayBeFragment(data []byte) bool {
	switch {
	case len(data) >= wire.IPv4HeaderLen && data[0]>>4 == 4:
		return binary.BigEndian.Uint16(data[6:])&0x3fff != 0 // MF and the offset
	case len(data) >= wire.IPv6HeaderLen && data[0]>>4 == 6:
		return data[6] != wire.ProtoTCP && data[6] != wire.ProtoUDP && data[6] != wire.ProtoICMPv6
	}
	return false
}

// walkInbound is walk for inbound packets of the network layer that may be fragments.
func (s *Stack) walkInbound(from rank, a *divertdrv.Address, data []byte, t token) error {
	wire.Parse(data, &s.headers)
	if !s.headers.Fragment {
		if s.offer(from, a, data, t, func(*conn) bool { return true }) {
			return nil
		}
		return s.leave(a, data)
	}
	below := t.below(from)
	if s.offer(from, a, data, t.withBelow(below), (*conn).seesFragments) {
		return nil
	}
	return s.join(below, a, data, t)
}

// join keeps a fragment, and leads on the packet that it completes: with the Address of this last piece.
func (s *Stack) join(below rank, a *divertdrv.Address, data []byte, t token) error {
	s.stats.Fragments++
	s.joiner.below = below
	r := s.joiner.frag.Add(data, &s.headers, a.IfIdx(), uint64(below))
	if r.Outcome != frag.Joined {
		return nil
	}
	s.stats.Wholes++
	wire.Parse(r.Whole, &s.headers)
	if s.offer(s.joiner.below, a, r.Whole, 0, (*conn).seesWholes) {
		return nil
	}
	return s.leave(a, r.Whole)
}

func (c *conn) seesFragments() bool { return c.fragments }
func (c *conn) seesWholes() bool    { return !c.fragments }

// offer leads a packet, whose headers are parsed, past those handles below a rank that see its kind; true: one took it.
func (s *Stack) offer(from rank, a *divertdrv.Address, data []byte, t token, sees func(*conn) bool) bool {
	for _, c := range s.handles[addr.Network] {
		if c.rank < from && c.takes && sees(c) && c.filter.Match(a, data, &s.headers) && c.take(a, data, t) {
			return true
		}
	}
	return false
}
