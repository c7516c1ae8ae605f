package lower

import (
	"encoding/binary"
	"math/bits"

	"github.com/weirnet/weir/divertdrv/filter"
)

// node is one step: it loads a value and goes on by the piece that it is in, or at none where a packet is too short for it.
type node struct {
	load   load
	pieces []piece
	none   edge
	asks   bool // some way from here ends in ask
}

// graph is the tests of a program, specialised for the worlds of a hook. Equal nodes are one. Edges lead to smaller numbers.
type graph struct {
	nodes []node
	entry [numWorlds]edge
}

// maxNodes limits the graph, and with it the program: a node has at most 16 instructions, so that a jump over all of them, and
// over the 255 that are under way when the limit is met, has the 16 bits that it needs. Texts do not come to it, for the worlds
// share nodes; a hostile object may, and what is behind it is left to user space.
const maxNodes = 1700

// maxStates limits the ways to come to a test together with others that wait.
const maxStates = 1 << 14

// builder specialises tests. In each world it walks them from the first on. A test that is left to user space takes both edges,
// so a state of the walk is a set of tests, of which one must come to accept: the first is asked, the others wait. Behind such
// a test a way that ends in accept is one that user space must be asked about.
type builder struct {
	resolver
	tests []filter.Test
	ahead *ahead
	graph graph
	byKey map[string]edge
	memo  map[state]edge
	left  map[int]string // tests that are left to user space, with the reason

	maxNodes int
}

// state is a set of tests in a world, and whether it depends on a test that was left.
type state struct {
	world  int
	set    set
	unsure bool
}

func build(tests []filter.Test, hook *Hook, compat22 bool, maxNodes int) *builder {
	b := &builder{
		resolver: resolver{hook, compat22}, tests: tests, ahead: newAhead(tests),
		byKey: map[string]edge{}, memo: map[state]edge{}, left: map[int]string{},
		maxNodes: maxNodes,
	}
	for w := range worlds {
		if worlds[w].pending && !hook.Reassemble {
			b.graph.entry[w] = b.graph.entry[v6None] // nobody comes there
			continue
		}
		b.graph.entry[w] = b.from(state{world: w}, 0)
	}
	b.graph.merge()
	return b
}

// from returns the edge to a state: what waits in s, and the test where the way goes on.
func (b *builder) from(s state, next int) edge {
	switch {
	case next == filter.Accept && s.unsure:
		return ask
	case next == filter.Accept:
		return accept
	case next != filter.Reject:
		s.set.add(next)
	}
	b.ahead.prune(&s.set)
	first, ok := s.set.first()
	if !ok {
		return reject
	}
	if e, ok := b.memo[s]; ok {
		return e
	}
	if len(b.memo) >= maxStates || len(b.graph.nodes) >= b.maxNodes {
		b.leave(first, "the program would be too large", s.world)
		return ask
	}
	waiting := s
	waiting.set.remove(first)
	e := b.test(first, waiting)
	b.memo[s] = e
	return e
}

// test returns the edge to a test, while others wait.
func (b *builder) test(i int, waiting state) edge {
	t := &b.tests[i]
	a := b.resolve(t, worlds[waiting.world])
	switch {
	case a.kind == known && a.yes:
		return b.from(waiting, t.True)
	case a.kind == known:
		return b.from(waiting, t.False)
	case t.True == t.False:
		return b.from(waiting, t.True)
	case a.kind == left:
		return b.both(i, a.why, waiting)
	}
	holds, fails := b.from(waiting, t.True), b.from(waiting, t.False)
	n := node{load: a.load, none: reject}
	if a.load.mayFail() {
		n.none = fails
	}
	add := func(upper value, yes bool) {
		to := fails
		if yes {
			to = holds
		}
		n.pieces = appendPiece(n.pieces, piece{upper, to})
	}
	if a.flag {
		add(value{}, holdsFor(t, value{}))
		add(a.span.last, holdsFor(t, narrow(1)))
	} else {
		for _, o := range outcomes(t, a.span) {
			add(o.upper, o.holds)
		}
	}
	return b.node(n)
}

// both takes both edges of a test that is left to user space.
func (b *builder) both(i int, why string, waiting state) edge {
	t := &b.tests[i]
	if !waiting.unsure { // and so nothing waits
		if e := b.from(waiting, t.True); e == b.from(waiting, t.False) && !b.graph.asks(e) {
			return e
		}
	}
	waiting.unsure = true
	var e edge
	switch other := waiting; {
	case t.True == filter.Accept, t.False == filter.Accept:
		e = ask
	case t.False == filter.Reject:
		e = b.from(other, t.True)
	default:
		other.set.add(t.False)
		e = b.from(other, t.True)
	}
	if e != b.from(waiting, filter.Reject) {
		b.leave(i, why, waiting.world)
	}
	return e
}

func (b *builder) leave(i int, why string, world int) {
	if !worlds[world].pending { // what is reassembled is asked again anyway
		b.left[i] = why
	}
}

// node returns the edge to a node like n.
func (b *builder) node(n node) edge {
	if n.decided() {
		return n.pieces[0].to
	}
	key := n.key()
	if e, ok := b.byKey[key]; ok {
		return e
	}
	n.asks = b.graph.asks(n.none)
	for _, p := range n.pieces {
		n.asks = n.asks || b.graph.asks(p.to)
	}
	e := edge(len(b.graph.nodes))
	b.graph.nodes = append(b.graph.nodes, n)
	b.byKey[key] = e
	return e
}

// asks says whether some way from an edge ends in ask.
func (g *graph) asks(e edge) bool { return e == ask || e >= 0 && g.nodes[e].asks }

func (n *node) key() string {
	l := &n.load
	k := []byte{byte(l.from), l.size, l.shift}
	k = binary.BigEndian.AppendUint32(k, l.mask)
	k = binary.BigEndian.AppendUint32(k, uint32(l.off))
	k = binary.BigEndian.AppendUint32(k, uint32(n.none))
	for _, p := range n.pieces {
		k = binary.BigEndian.AppendUint64(k, p.upper.hi)
		k = binary.BigEndian.AppendUint64(k, p.upper.lo)
		k = binary.BigEndian.AppendUint32(k, uint32(p.to))
	}
	return string(k)
}

// set is a set of tests.
type set [4]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) remove(i int)   { s[i/64] &^= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

// all calls f for each test of the set from the least on. Those that f removes from it are not visited any more.
func (s *set) all(f func(i int) bool) {
	for w := range s {
		for done := uint64(0); s[w]&^done != 0; {
			bit := bits.TrailingZeros64(s[w] &^ done)
			done |= 2<<bit - 1
			if !f(w*64 + bit) {
				return
			}
		}
	}
}

// first returns the least test of the set.
func (s *set) first() (i int, ok bool) {
	for i := range s.all {
		return i, true
	}
	return 0, false
}
