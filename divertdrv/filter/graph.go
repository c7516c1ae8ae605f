package filter

import (
	"math"
	"math/bits"

	"github.com/weirnet/weir/divertdrv/addr"
)

// step is a test on its way to become a node: the value that it loads, the edge of each value, and the edge of packets that
// lack the field. A step of classFact has two pieces, or one: that of 0 and that of 1.
type step struct {
	source
	pieces []piece
	none   uint16
}

// fails says that packets may lack the step's field.
func (s *step) fails() bool { return s.need != 0 || s.optional() }

// graph is a program while it is optimised. Edges only lead forward.
type graph struct {
	layer    addr.Layer
	compat22 bool
	steps    []step
	become   []uint16 // by step: itself, or the edge that it always takes
	known    []known  // by step: what thread found to be so for all packets that come to it
}

func newGraph(tests []test, layer addr.Layer, compat22 bool) *graph {
	n := len(tests)
	g := &graph{layer, compat22, make([]step, n), make([]uint16, n), make([]known, n)}
	for i := range tests {
		c := tests[i].comparison
		c.truncate()
		s := &g.steps[i]
		s.source, s.none = g.source(&c), tests[i].fail
		s.pieces = c.decision(tests[i].succ, tests[i].fail)
		if s.class == classFact {
			s.pieces = factPieces(s.pieces, c.field == fInbound)
		}
	}
	g.join()
	return g
}

// factPieces cuts pieces down to those of 0 and 1, and swaps these on demand.
func factPieces(pieces []piece, opposite bool) []piece {
	zero := pieces[0].edge
	one := zero
	if pieces[0].upper == (u128{}) {
		one = pieces[1].edge
	}
	if opposite {
		zero, one = one, zero
	}
	return appendPiece([]piece{{edge: zero}}, piece{u128{lo: mask32}, one})
}

// join brings each edge to where it leads in the end, and makes one step of tests of the same value that follow each other.
// It goes from the last step to the first, so that what an edge leads to is known.
func (g *graph) join() {
	for i := len(g.steps) - 1; i >= 0; i-- {
		s := &g.steps[i]
		s.none = g.resolve(s.none)
		if g.same(s.none, s) {
			s.none = g.steps[s.none].none
		}
		for j := range s.pieces {
			s.pieces[j].edge = g.resolve(s.pieces[j].edge)
		}
		s.pieces = absorb(s.pieces, func(edge uint16) []piece {
			if g.same(edge, s) {
				return g.steps[edge].pieces
			}
			return nil
		})
		g.become[i] = uint16(i)
		if only := s.pieces[0].edge; len(s.pieces) == 1 && (only == s.none || !s.fails()) {
			g.become[i] = only
		}
	}
}

// resolve follows an edge to where it leads in the end.
func (g *graph) resolve(edge uint16) uint16 {
	if edge < accept {
		return g.become[edge]
	}
	return edge
}

// same says whether an edge leads to a test of the value that s loads.
func (g *graph) same(edge uint16, s *step) bool {
	return edge < accept && g.steps[edge].source == s.source
}

// source returns how to load the field of a comparison.
func (g *graph) source(c *comparison) source {
	s := source{field: c.field, class: g.class(c.field), need: factOf[c.field.header()], off: int32(c.index)}
	switch s.class {
	case classFact:
		s.bits = factOf[c.field]
		s.shift = uint8(bits.TrailingZeros32(s.bits))
		s.field = fZero // inbound and outbound are the same
	case classWord:
		p := places[c.field]
		s.off, s.shift, s.bits = p.off, p.shift, p.mask<<p.shift
		if s.need&(factIPv4|factIPv6) == 0 {
			s.base = math.MaxUint32
		}
	}
	return s
}

func (g *graph) class(id fieldID) class {
	switch {
	case factOf[id] != 0:
		return classFact
	case id == fIPv6SrcAddr, id == fIPv6DstAddr, id == fLocalAddr, id == fRemoteAddr:
		return classAddress
	case id == fZero, id == fEvent, id == fTimestamp:
		return classEvent
	case onEndpoints.has(g.layer):
		return classFlow
	case onReflect.has(g.layer):
		return classReflect
	case id.size() != 0:
		return classIndexed
	case id == fTCPPayloadLength, id == fUDPPayloadLength:
		return classPayloadLength
	case id == fIPv6FlowLabel && g.compat22:
		return classPacket
	}
	if _, ok := places[id]; !ok {
		return classPacket
	}
	return classWord
}
