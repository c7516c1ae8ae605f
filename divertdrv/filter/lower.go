package filter

import "github.com/weirnet/weir/divertdrv/addr"

// code is a program as Match and MatchBatch run it. Edges are numbers of nodes; behind the last node come accepting, which is
// len(nodes), and rejecting.
type code struct {
	nodes  []node
	tables []table
	wide   []wideTable
	entry  uint16
	facts  uint32 // those that some node asks for
}

func (c *code) accepts(edge uint16) bool { return int(edge) == len(c.nodes) }

// optimised is how often the optimiser goes over a program: what one round finds was made by the one before.
const optimised = 3

// lower builds the code of a flat program. Fields are pure, so tests may be asked in any order, joined, or left out where the
// way to them tells their answer; see thread.go and chain.go.
func lower(tests []test, layer addr.Layer, compat22 bool) code {
	g := newGraph(tests, layer, compat22)
	for range optimised {
		g.regroup()
		g.join()
		g.thread()
		g.join()
	}
	return g.emit()
}

// draft is a node that has no numbers yet: its edges are those of the graph.
type draft struct {
	node
	pieces []piece
}

// emit turns the steps that can be reached into nodes, in their order.
func (g *graph) emit() code {
	drafts := make([]draft, len(g.steps))
	for i := len(drafts) - 1; i >= 0; i-- {
		drafts[i] = g.draft(i)
		if drafts[i].class == classFact {
			drafts[i].fuse(drafts)
		}
	}
	var c code
	entry := g.resolve(0)
	place, n := arrange(len(drafts), entry, func(i int, reach func(uint16)) { drafts[i].edges(reach) })
	moved := func(edge uint16) uint16 {
		switch edge {
		case accept:
			return n
		case reject:
			return n + 1
		}
		return place[edge]
	}
	c.entry, c.nodes = moved(entry), make([]node, 0, n)
	for i := range drafts {
		if place[i] == unreached {
			continue
		}
		d := &drafts[i]
		c.finish(d, moved)
		c.nodes = append(c.nodes, d.node)
		c.facts |= d.mask
	}
	return c
}

// draft returns step i with the guard that is left of what it needs: nothing where the way to it tells.
func (g *graph) draft(i int) draft {
	s := &g.steps[i]
	d := draft{node{source: s.source, none: s.none, table: -1}, s.pieces}
	if s.class == classFact {
		d.mask, d.want = s.bits, s.bits
		d.none, d.in = s.pieces[0].edge, s.pieces[len(s.pieces)-1].edge
		return d
	}
	d.mask = s.need &^ g.known[i].ones
	d.want = d.mask
	return d
}

// fuse joins a fact with what is asked behind it where both go on at the same edge if it is not so: then one look at the facts
// does for both.
func (d *draft) fuse(drafts []draft) {
	if d.with(drafts) {
		return
	}
	d.flip()
	if !d.with(drafts) {
		d.flip()
	}
}

// flip asks for the opposite of a single fact.
func (d *draft) flip() {
	d.want ^= d.mask
	d.in, d.none = d.none, d.in
}

func (d *draft) with(drafts []draft) bool {
	if d.in >= accept {
		return false
	}
	next := drafts[d.in]
	if next.class == classFact && next.mask&(next.mask-1) == 0 && next.none != d.none {
		next.flip()
	}
	fails := next.mask != 0 || next.optional()
	if fails && next.none != d.none || d.mask&next.mask&(d.want^next.want) != 0 {
		return false
	}
	next.mask, next.want, next.none = d.mask|next.mask, d.want|next.want, d.none
	*d = next
	return true
}

// edges calls f for each edge of a node.
func (d *draft) edges(f func(edge uint16)) {
	f(d.none)
	if d.class == classFact {
		f(d.in)
		return
	}
	for _, p := range d.pieces {
		f(p.edge)
	}
}

// finish gives a node its numbers, and an interval where that says all, else a table.
func (c *code) finish(d *draft, moved func(uint16) uint16) {
	d.none = moved(d.none)
	if d.class == classFact {
		d.in = moved(d.in)
		return
	}
	pieces := make([]piece, len(d.pieces))
	for i, p := range d.pieces {
		pieces[i] = piece{p.upper, moved(p.edge)}
	}
	first, last := pieces[0].edge, len(pieces)-1
	if d.class == classAddress && !d.narrow(pieces) {
		d.class, d.table = classWide, int16(len(c.wide))
		c.wide = append(c.wide, newWideTable(pieces))
		return
	}
	at := func(i int) uint64 { return pieces[i].upper.lo << d.shift }
	switch {
	case last == 0:
		d.in, d.out, d.span = first, first, at(0)
	case last == 1:
		d.in, d.out, d.span = first, pieces[1].edge, at(0)
	case last == 2 && first == pieces[2].edge:
		d.lo = at(0) + 1<<d.shift
		d.in, d.out, d.span = pieces[1].edge, first, at(1)-d.lo
	default:
		t := newTable(pieces, d.shift)
		d.in, d.out = t.other, first
		d.table = int16(len(c.tables))
		c.tables = append(c.tables, t)
	}
}

// narrow says whether the lower half of an address decides where the upper one is d.hi, and sets that. So it is with IPv4
// addresses, and ranges within one /64.
func (d *draft) narrow(pieces []piece) bool {
	last := len(pieces) - 1
	if last < 2 || pieces[0].edge != pieces[last].edge {
		return false
	}
	d.hi = pieces[0].upper.hi
	for _, p := range pieces[:last] {
		if p.upper.hi != d.hi {
			return false
		}
	}
	return true
}
