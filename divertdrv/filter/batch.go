package filter

import (
	"encoding/binary"
	"math/bits"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// View is one packet or event for MatchBatch, with the arguments of Match.
type View struct {
	Addr    *addr.Address
	Data    []byte
	Headers *wire.Headers
}

// MatchBatch sets hits[i] to whether the program accepts v[i]. hits must be at least as long as v. It is the faster the more
// packets it gets, up to some dozens.
//
// Packets go through the program side by side, up to 64 in the bits of a word: a node is asked once for all that come to it. A
// fact is one operation on the word, and the loads of a field do not wait for one another, nor do they branch by what they find.
// Events of the other layers, and packets without Headers, go one after the other.
func (p *Program) MatchBatch(v []View, hits []bool) {
	hits = hits[:len(v)]
	if p.layer > addr.NetworkForward || len(v) < lanesLeast {
		for i := range v {
			hits[i] = p.Match(v[i].Addr, v[i].Data, v[i].Headers)
		}
		return
	}
	for len(v) > 0 {
		n := min(len(v), lanesMost)
		accepted := p.matchLanes(v[:n])
		for i := range hits[:n] {
			hits[i] = accepted&1 != 0
			accepted >>= 1
		}
		v, hits = v[n:], hits[n:]
	}
}

const (
	lanesMost  = 64 // packets side by side: the bits of a lanes
	lanesLeast = 4  // with fewer, one after the other is faster
	smallCode  = 14 // nodes of most programs; beyond, clearing the words of all nodes takes a while
)

// lanes is a set of the packets that go side by side, one bit each.
type lanes uint64

// matchLanes returns which of at most lanesMost packets the program accepts.
func (p *Program) matchLanes(v []View) lanes {
	w := walk{code: &p.code, views: v}
	start, unparsed := w.gather()
	var accepted lanes
	if len(p.code.nodes) <= smallCode {
		accepted = w.small(start)
	} else {
		accepted = w.large(start)
	}
	for ; unparsed != 0; unparsed &= unparsed - 1 {
		i := bits.TrailingZeros64(uint64(unparsed))
		if p.matchParsing(v[i].Addr, v[i].Data) {
			accepted |= 1 << i
		}
	}
	return accepted
}

// walk is one pass of packets through a program.
type walk struct {
	code   *code
	views  []View
	facts  [numFacts]lanes // by fact: the packets for which it holds
	values [lanesMost]uint64
}

// gather collects the facts. It returns the packets that start, and those whose headers are still to be parsed.
func (w *walk) gather() (start, unparsed lanes) {
	var facts [lanesMost]byte
	for i := range w.views {
		h := w.views[i].Headers
		if h == nil {
			unparsed |= 1 << (i % lanesMost)
			continue
		}
		facts[i%lanesMost] = byte(headerFacts(h))
	}
	start = column(&facts, bitIPv4) | column(&facts, bitIPv6)
	w.transpose(&facts, w.code.facts&(1<<addressFacts-1), 0)
	if w.code.facts >= 1<<addressFacts {
		for i := range w.views {
			facts[i%lanesMost] = byte(addressFactsOf(w.views[i].Addr) >> addressFacts)
		}
		w.transpose(&facts, w.code.facts, addressFacts)
	}
	return start, unparsed
}

// transpose collects the packets of each fact that is asked, whose bits in facts are counted from the fact at.
func (w *walk) transpose(facts *[lanesMost]byte, asked uint32, at int) {
	for asked = asked >> at << at; asked != 0; asked &= asked - 1 {
		bit := bits.TrailingZeros32(asked) % numFacts
		w.facts[bit] = column(facts, bit-at)
	}
}

// column collects one bit of each byte.
func column(of *[lanesMost]byte, bit int) (set lanes) {
	const (
		lowest = 0x0101010101010101 // bit 0 of each byte
		gather = 0x0102040810204080 // times that: bit 0 of byte i to bit 56+i
	)
	for i := 0; i < lanesMost; i += 8 {
		eight := binary.LittleEndian.Uint64(of[i:i+8]) >> bit & lowest
		set |= lanes(eight*gather>>56) << i
	}
	return set
}

func (w *walk) small(start lanes) lanes {
	var come [smallCode + 2]lanes
	return w.run(start, come[:len(w.code.nodes)+2])
}

func (w *walk) large(start lanes) lanes {
	var come [maxTests + 2]lanes
	return w.run(start, come[:len(w.code.nodes)+2])
}

// run walks the nodes in their order, which no edge leads back in. come has for each node the packets that come to it, and
// behind the nodes those that are accepted and rejected.
func (w *walk) run(start lanes, come []lanes) lanes {
	nodes := w.code.nodes
	come[w.code.entry] = start
	for i := range nodes {
		here := come[i]
		if here == 0 {
			continue
		}
		n := &nodes[i]
		there := w.guard(n, here)
		come[n.none] |= here &^ there
		if n.class == classFact {
			come[n.in] |= there
			continue
		}
		t := w.table(n)
		switch {
		case n.class == classWide:
			w.spreadWide(n, there, come)
		case t == nil && n.class == classWord:
			in := w.wordsInside(n, there)
			come[n.in] |= in
			come[n.out] |= there &^ in
		default:
			found := w.load(n, there)
			come[n.lost()] |= there &^ found
			w.spread(n, t, found, come)
		}
	}
	return come[len(nodes)]
}

// guard returns the packets with the facts that n wants.
func (w *walk) guard(n *node, here lanes) lanes {
	for mask := n.mask; mask != 0; mask &= mask - 1 {
		bit := bits.TrailingZeros32(mask)
		set := w.facts[bit%numFacts]
		if n.want>>bit&1 == 0 {
			set = ^set
		}
		here &= set
	}
	return here
}

// table returns the node's table, nil if it has an interval or a wide table.
func (w *walk) table(n *node) *table {
	if n.table < 0 || n.class == classWide {
		return nil
	}
	return &w.code.tables[n.table]
}

// The loops over packets are functions of their own, which must not be inlined: in run the compiler has no registers left for
// them, and each would go through memory for every packet, at three times the cost.

// wordsInside loads a field of a header and returns the packets whose value is in the node's interval.
//
//go:noinline
func (w *walk) wordsInside(n *node, of lanes) (in lanes) {
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(uint64(of)) % lanesMost
		v := &w.views[i]
		_, beyond := bits.Sub64(n.span, n.wordAt(v.Data, v.Headers)-n.lo, 0)
		in |= lanes(beyond^1) << i
	}
	return in
}

// spread sends each packet where its value leads.
func (w *walk) spread(n *node, t *table, of lanes, come []lanes) {
	if t != nil && t.member == nil {
		for ; of != 0; of &= of - 1 {
			i := bits.TrailingZeros64(uint64(of)) % lanesMost
			come[t.find(w.values[i])] |= 1 << i
		}
		return
	}
	var in lanes
	if t != nil {
		in = w.among(t, of)
	} else {
		in = w.inside(n, of)
	}
	come[n.in] |= in
	come[n.out] |= of &^ in
}

// among returns the packets whose value is in a set.
//
//go:noinline
func (w *walk) among(t *table, of lanes) (in lanes) {
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(uint64(of)) % lanesMost
		in |= lanes(t.member[t.search(w.values[i])]) << i
	}
	return in
}

// inside returns the packets whose value is in the node's interval.
//
//go:noinline
func (w *walk) inside(n *node, of lanes) (in lanes) {
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(uint64(of)) % lanesMost
		_, beyond := bits.Sub64(n.span, w.values[i]-n.lo, 0)
		in |= lanes(beyond^1) << i
	}
	return in
}

func (w *walk) spreadWide(n *node, of lanes, come []lanes) {
	t := &w.code.wide[n.table]
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(uint64(of))
		v := &w.views[i]
		come[t.find(n.address(v.Addr, v.Data, v.Headers))] |= 1 << i
	}
}

// load puts the field of each packet into values, and returns the packets that have it. (A loop that loads and searches a table at
// once has too few registers as well.)
//
//go:noinline
func (w *walk) load(n *node, of lanes) (found lanes) {
	switch n.class {
	case classWord:
		for m := of; m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(uint64(m)) % lanesMost
			v := &w.views[i]
			w.values[i] = n.wordAt(v.Data, v.Headers)
		}
	case classPayloadLength:
		for m := of; m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(uint64(m)) % lanesMost
			w.values[i] = uint64(w.views[i].Headers.PayloadLen())
		}
	case classIndexed:
		return w.loadWords(n, of)
	case classAddress:
		return w.loadAddresses(n, of)
	case classWide: // see spreadWide
	default:
		for m := of; m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(uint64(m)) % lanesMost
			v := &w.views[i]
			w.values[i] = n.scalar(v.Addr, v.Data, v.Headers)
		}
	}
	return of
}

func (w *walk) loadWords(n *node, of lanes) (found lanes) {
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(uint64(of)) % lanesMost
		if word, ok := n.word(w.views[i].Data, w.views[i].Headers); ok {
			w.values[i] = word
			found |= 1 << i
		}
	}
	return found
}

// loadAddresses leaves out those whose upper half is not the node's.
func (w *walk) loadAddresses(n *node, of lanes) (found lanes) {
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(uint64(of)) % lanesMost
		v := &w.views[i]
		if whole := n.address(v.Addr, v.Data, v.Headers); whole.hi == n.hi {
			w.values[i] = whole.lo
			found |= 1 << i
		}
	}
	return found
}

// lost is the edge of packets that have what the node needs, and nothing that it could load.
func (n *node) lost() uint16 {
	if n.class == classAddress {
		return n.out
	}
	return n.none
}
