package filter

import (
	"math"
	"math/bits"
	"slices"

	"github.com/weirnet/weir/divertdrv/addr"
)

// step is a test on its way to become a node: the value that it loads, the edge of each value, and the edge of packets that
// lack the field. A step of classFact has two pieces, or one: that of 0 and that of 1.
type step struct {
	source
	variable uint16 // the number of the source: the same for the same value
	pieces   []piece
	none     uint16
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

const unreached = 0xffff

func newGraph(tests []test, layer addr.Layer, compat22 bool) *graph {
	n := len(tests)
	g := &graph{layer, compat22, make([]step, n), make([]uint16, n), make([]known, n)}
	variables := map[source]uint16{}
	for i := range tests {
		c := tests[i].comparison
		c.truncate()
		s := &g.steps[i]
		s.source, s.none = g.source(&c), tests[i].fail
		if _, known := variables[s.source]; !known {
			variables[s.source] = uint16(len(variables) + 1)
		}
		s.variable = variables[s.source]
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
// It goes from the last step to the first, so that what an edge leads to is known. Steps that are not reached any more go.
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
		} else if twin := g.twin(i); twin != 0 {
			g.become[i] = twin
			if k := &g.known[i]; k.reached { // now its packets come there too
				g.known[twin].meet(k)
			}
		}
	}
	g.prune()
}

// twin returns a later step that does the same as step i; 0: there is none.
func (g *graph) twin(i int) uint16 {
	s := &g.steps[i]
	for j := i + 1; j < len(g.steps); j++ {
		t := &g.steps[j]
		if t.variable == s.variable && t.none == s.none && g.become[j] == uint16(j) && slices.Equal(s.pieces, t.pieces) {
			return uint16(j)
		}
	}
	return 0
}

// prune leaves out the steps that are not reached.
func (g *graph) prune() {
	entry := g.resolve(0)
	if entry >= accept { // one step tells it
		g.steps = g.steps[:1]
		g.steps[0].pieces, g.steps[0].none = []piece{{maxU128, entry}}, entry
		return
	}
	place, n := arrange(len(g.steps), entry, func(i int, reach func(uint16)) { g.steps[i].edges(reach) })
	moved := func(edge uint16) uint16 {
		if edge < accept {
			edge = place[edge]
		}
		return edge
	}
	for i, at := range place {
		if at == unreached {
			continue
		}
		s := g.steps[i]
		for j := range s.pieces {
			s.pieces[j].edge = moved(s.pieces[j].edge)
		}
		s.none = moved(s.none)
		g.steps[at], g.become[at], g.known[at] = s, at, g.known[i]
	}
	g.steps, g.become, g.known = g.steps[:n], g.become[:n], g.known[:n]
}

// arrange numbers what can be reached from entry, of so many steps; edges only lead forward, so one pass finds them.
func arrange(steps int, entry uint16, edges func(i int, reach func(edge uint16))) (place []uint16, n uint16) {
	place = make([]uint16, steps)
	for i := range place {
		place[i] = unreached
	}
	reach := func(edge uint16) {
		if edge < accept {
			place[edge] = 0
		}
	}
	reach(entry)
	for i := range place {
		if place[i] != unreached {
			place[i] = n
			n++
			edges(i, reach)
		}
	}
	return place, n
}

// edges calls f for each edge of a step.
func (s *step) edges(f func(edge uint16)) {
	for _, p := range s.pieces {
		f(p.edge)
	}
	if s.fails() {
		f(s.none)
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
