package filter

import (
	"math/bits"

	"github.com/weirnet/weir/divertdrv/addr"
)

// code is a program as Match runs it.
type code struct {
	nodes  []node
	tables []table
	wide   []wideTable
	entry  uint16 // the first node, or accept or reject
	facts  uint32 // those that some node needs or tests
}

// lowerer builds code from tests. It walks them from the last to the first, so that what an edge leads to is known.
type lowerer struct {
	layer     addr.Layer
	compat22  bool
	nodes     []node    // by test
	decisions [][]piece // by test
	become    []uint16  // by test: itself, or the edge it always takes
}

// lower builds the code of a flat program. Comparisons of one field that follow each other become one step, and steps
// that decide nothing go; nothing else is reordered.
func lower(tests []test, layer addr.Layer, compat22 bool) code {
	n := len(tests)
	l := &lowerer{layer, compat22, make([]node, n), make([][]piece, n), make([]uint16, n)}
	for i := n - 1; i >= 0; i-- {
		l.test(i, &tests[i])
	}
	return l.emit()
}

func (l *lowerer) test(i int, t *test) {
	c := t.comparison
	c.truncate()
	n := l.load(&c)
	succ, fail := l.resolve(t.succ), l.resolve(t.fail)
	n.none = fail
	if l.same(fail, &n) {
		n.none = l.nodes[fail].none
	}
	d := absorb(c.decision(succ, fail), func(edge uint16) []piece {
		if l.same(edge, &n) {
			return l.decisions[edge]
		}
		return nil
	})
	l.nodes[i], l.decisions[i], l.become[i] = n, d, uint16(i)
	if len(d) == 1 && (d[0].edge == n.none || n.always()) {
		l.become[i] = d[0].edge
	}
}

// resolve follows an edge to where it leads in the end.
func (l *lowerer) resolve(edge uint16) uint16 {
	if edge < accept {
		return l.become[edge]
	}
	return edge
}

// same says whether an edge leads to a test of the value that n loads.
func (l *lowerer) same(edge uint16, n *node) bool {
	if edge >= accept {
		return false
	}
	m := &l.nodes[edge]
	return m.field == n.field && m.off == n.off
}

// load returns the node that loads the field of a comparison, still without its edges.
func (l *lowerer) load(c *comparison) node {
	n := node{field: c.field, class: l.class(c.field), need: factAlways, table: -1, off: int32(c.index)}
	if f := factOf[c.field.header()]; f != 0 {
		n.need = f
	}
	switch n.class {
	case classFact:
		n.mask = factOf[c.field]
		n.shift = uint8(bits.TrailingZeros32(n.mask))
	case classIP, classTransport:
		p := places[c.field]
		n.off, n.shift, n.mask = p.off, p.shift, p.mask<<p.shift
	}
	return n
}

func (l *lowerer) class(id fieldID) class {
	switch {
	case factOf[id] != 0:
		return classFact
	case id == fIPv6SrcAddr, id == fIPv6DstAddr, id == fLocalAddr, id == fRemoteAddr:
		return classAddress
	case id == fZero, id == fEvent, id == fTimestamp:
		return classEvent
	case onEndpoints.has(l.layer):
		return classFlow
	case onReflect.has(l.layer):
		return classReflect
	case id.size() != 0:
		return classIndexed
	case id == fTCPPayloadLength, id == fUDPPayloadLength:
		return classPayloadLength
	case id == fIPv6FlowLabel && l.compat22:
		return classPacket
	}
	if _, ok := places[id]; !ok {
		return classPacket
	}
	if h := id.header(); h == fIP || h == fIPv6 {
		return classIP
	}
	return classTransport
}

// emit keeps the nodes that can be reached, in their order, and gives them their edges.
func (l *lowerer) emit() code {
	c := code{entry: l.resolve(0)}
	place := l.places(c.entry)
	moved := func(edge uint16) uint16 {
		if edge < accept {
			edge = place[edge]
		}
		return edge
	}
	c.entry = moved(c.entry)
	for i := range l.nodes {
		if place[i] == unreached {
			continue
		}
		n, d := l.nodes[i], l.decisions[i]
		n.none = moved(n.none)
		for j := range d {
			d[j].edge = moved(d[j].edge)
		}
		c.decide(&n, d)
		c.nodes = append(c.nodes, n)
		c.facts |= n.need | factOf[n.field]
	}
	return c
}

const unreached = 0xffff

// places numbers the tests that can be reached from entry; edges only lead forward, so one pass finds them.
func (l *lowerer) places(entry uint16) []uint16 {
	place := make([]uint16, len(l.nodes))
	for i := range place {
		place[i] = unreached
	}
	reach := func(edge uint16) {
		if edge < accept {
			place[edge] = 0
		}
	}
	reach(entry)
	next := uint16(0)
	for i := range place {
		if place[i] == unreached {
			continue
		}
		place[i] = next
		next++
		reach(l.nodes[i].none)
		for _, p := range l.decisions[i] {
			reach(p.edge)
		}
	}
	return place
}

// decide gives n an interval where that says all, else a table.
func (c *code) decide(n *node, d []piece) {
	at := func(i int) uint64 { return d[i].upper.lo << n.shift }
	switch {
	case n.class == classAddress:
		n.table = int16(len(c.wide))
		c.wide = append(c.wide, newWideTable(d))
	case len(d) == 1:
		n.in, n.span = d[0].edge, at(0)
	case len(d) == 2:
		n.in, n.span, n.out = d[0].edge, at(0), d[1].edge
	case len(d) == 3 && d[0].edge == d[2].edge:
		n.lo = at(0) + 1<<n.shift
		n.in, n.span, n.out = d[1].edge, at(1)-n.lo, d[0].edge
	default:
		n.table = int16(len(c.tables))
		c.tables = append(c.tables, newTable(d, n.shift))
	}
}
