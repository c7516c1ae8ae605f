package processor

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/weirnet/weir/divertdrv/filter"
)

// An index finds, among the filters of one sublayer at one layer, those that a packet may match, so that ten thousand cost about
// what one does. It is a tree of at most five levels. Each node parts filters by one dimension of packets (kind, addresses, ports):
// those that are bounded there stand under the interval that the packet's key is in, all others under rest. So a packet comes to at
// most 2^5 leaves, mostly one or two, and what it finds there is merged in the order of asking. The index may offer a filter that
// does not match, and never leaves one out: each is still asked exactly.
type index struct {
	nodes []indexNode
	lists []uint32 // leaves, one behind the other
}

// indexNode is a leaf iff starts is nil.
type indexNode struct {
	by     filter.Dimension
	shift  uint8    // of coarse
	starts []uint64 // where intervals begin, the first at 0; an interval ends where the next begins
	coarse []uint32 // by key>>shift: the interval in which that stretch begins; nil: few intervals
	child  []int32  // by interval; none: no filter is there
	rest   int32    // filters that are not bounded here; or none
	from   uint32   // leaf: its filters are lists[from:to], in the order of asking
	to     uint32
}

const none = -1

const (
	indexFrom  = 8 // filters from which an index pays
	leafMax    = 4 // filters that are asked one by one
	leavesMax  = 1 << filter.Dimensions
	copiesEach = 8 // places that a filter may stand in on average; what is wider stands under rest
	coarseFrom = 16
)

// newIndex returns nil where asking one by one is as good.
func newIndex(filters []*boundFilter) *index {
	if len(filters) < indexFrom {
		return nil
	}
	b := &indexBuilder{index: &index{}, same: map[string]int32{}}
	all := make([]uint32, len(filters))
	for i, f := range filters {
		all[i] = uint32(i)
		b.bounds = append(b.bounds, f.bounds)
	}
	if b.build(all, 1<<filter.Dimensions-1); len(b.index.nodes) == 1 {
		return nil
	}
	return b.index
}

type indexBuilder struct {
	index  *index
	bounds []*[filter.Dimensions][]filter.Range // by filter; nil: it matches everything
	same   map[string]int32                     // the leaf of a list, or node of a list and its dimensions
}

// build makes a node for filters, in the order of asking, that may still be parted by some dimensions, and returns its number.
func (b *indexBuilder) build(filters []uint32, dims uint) int32 {
	if len(filters) == 0 {
		return none
	}
	key := listKey(filters, dims)
	if n, ok := b.same[key]; ok {
		return n
	}
	n := int32(len(b.index.nodes))
	b.index.nodes = append(b.index.nodes, indexNode{})
	b.same[key] = n
	best := b.choose(filters, dims)
	if best == nil {
		from := uint32(len(b.index.lists))
		b.index.lists = append(b.index.lists, filters...)
		b.index.nodes[n] = indexNode{from: from, to: uint32(len(b.index.lists))}
		return n
	}
	node := indexNode{by: best.by, starts: best.starts}
	dims &^= 1 << best.by
	for _, list := range best.lists {
		node.child = append(node.child, b.build(list, dims))
	}
	node.rest = b.build(best.rest, dims)
	node.accelerate()
	b.index.nodes[n] = node
	return n
}

func listKey(filters []uint32, dims uint) string {
	key := make([]byte, 0, 4*len(filters)+1)
	for _, f := range filters {
		key = binary.LittleEndian.AppendUint32(key, f)
	}
	return string(append(key, byte(dims)))
}

// part is filters parted by one dimension.
type part struct {
	by     filter.Dimension
	starts []uint64
	lists  [][]uint32 // by interval
	rest   []uint32
	worst  int // filters of the longest list, and of rest
}

// choose returns the dimension that leaves least to ask in the worst case; nil: none leaves much less.
func (b *indexBuilder) choose(filters []uint32, dims uint) (best *part) {
	if len(filters) <= leafMax {
		return nil
	}
	for d := range filter.Dimensions {
		if dims&(1<<d) == 0 {
			continue
		}
		if p := b.part(filters, d); p != nil && (best == nil || p.worst < best.worst) {
			best = p
		}
	}
	if best == nil || best.worst > len(filters)*3/4 && len(best.rest) > len(filters)*3/4 {
		return nil
	}
	return best
}

// part sorts filters by the intervals of a dimension in which they stand; nil: none is bounded there.
func (b *indexBuilder) part(filters []uint32, d filter.Dimension) *part {
	p := &part{by: d}
	var bounded []uint32
	for _, f := range filters {
		if bounds := b.bounds[f]; bounds == nil || bounds[d] == nil {
			p.rest = append(p.rest, f)
		} else {
			bounded = append(bounded, f)
		}
	}
	if len(bounded) == 0 {
		return nil
	}
	p.starts = b.starts(bounded, d)
	bounded, wide := b.narrow(bounded, d, p.starts)
	if len(wide) > 0 {
		p.rest = append(p.rest, wide...)
		slices.Sort(p.rest)
		if len(bounded) == 0 {
			return nil
		}
		p.starts = b.starts(bounded, d)
	}
	p.lists = make([][]uint32, len(p.starts))
	for _, f := range bounded { // in the order of asking, so every list is
		for _, r := range b.bounds[f][d] {
			first, last := interval(p.starts, r.Lo), interval(p.starts, r.Hi)
			for i := first; i <= last; i++ {
				p.lists[i] = append(p.lists[i], f)
			}
		}
	}
	longest := 0
	for _, list := range p.lists {
		longest = max(longest, len(list))
	}
	p.worst = longest + len(p.rest)
	return p
}

// starts returns where the intervals begin that filters cut a dimension into.
func (b *indexBuilder) starts(filters []uint32, d filter.Dimension) []uint64 {
	starts := []uint64{0}
	for _, f := range filters {
		for _, r := range b.bounds[f][d] {
			starts = append(starts, r.Lo)
			if r.Hi != filter.NoKey {
				starts = append(starts, r.Hi+1)
			}
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}

// narrow takes out the filters that would stand in most intervals, until the rest stand in few enough altogether.
func (b *indexBuilder) narrow(filters []uint32, d filter.Dimension, starts []uint64) (narrow, wide []uint32) {
	total := 0
	copies := make(map[uint32]int, len(filters))
	for _, f := range filters {
		for _, r := range b.bounds[f][d] {
			copies[f] += interval(starts, r.Hi) - interval(starts, r.Lo) + 1
		}
		total += copies[f]
	}
	most := copiesEach * len(filters)
	if total <= most {
		return filters, nil
	}
	widest := slices.Clone(filters)
	slices.SortFunc(widest, func(a, b uint32) int { return cmp.Compare(copies[b], copies[a]) })
	out := map[uint32]bool{}
	for _, f := range widest {
		if total <= most {
			break
		}
		total -= copies[f]
		out[f] = true
	}
	for _, f := range filters {
		if out[f] {
			wide = append(wide, f)
		} else {
			narrow = append(narrow, f)
		}
	}
	return narrow, wide
}

// interval returns the interval that a key is in.
func interval(starts []uint64, key uint64) int {
	at, n := 0, len(starts)
	for n > 1 {
		half := n / 2
		if starts[at+half] <= key {
			at += half
		}
		n -= half
	}
	return at
}

// widths are the bits of the keys that coarse serves; larger ones (of IPv6, NoKey) are searched for.
var widths = [filter.Dimensions]int{filter.BySrcAddr: 32, filter.ByDstAddr: 32, filter.BySrcPort: 16, filter.ByDstPort: 16}

// accelerate adds a table that finds most intervals with one look.
func (n *indexNode) accelerate() {
	width := widths[n.by]
	if width == 0 || len(n.starts) < coarseFrom {
		return
	}
	size := min(bits.Len(uint(len(n.starts)))+2, 16)
	n.shift = uint8(width - size)
	n.coarse = make([]uint32, 1<<size+1)
	for i := range n.coarse {
		n.coarse[i] = uint32(interval(n.starts, uint64(i)<<n.shift))
	}
}

// find returns the interval that a key is in.
func (n *indexNode) find(key uint64) int {
	at := key >> n.shift
	if at+1 >= uint64(len(n.coarse)) {
		return interval(n.starts, key)
	}
	from, to := n.coarse[at], n.coarse[at+1]
	if from == to {
		return int(from)
	}
	return int(from) + interval(n.starts[from:to+1], key)
}

// candidates are the filters that a packet may match, as lists in the order of asking.
type candidates struct {
	lists [leavesMax][]uint32
	n     int
}

// collect gathers the candidates for a packet's keys.
func (ix *index) collect(keys *filter.Keys, c *candidates) {
	c.n = 0
	ix.visit(0, keys, c)
}

func (ix *index) visit(at int32, keys *filter.Keys, c *candidates) {
	for at != none {
		n := &ix.nodes[at]
		if n.starts == nil {
			c.lists[c.n] = ix.lists[n.from:n.to]
			c.n++
			return
		}
		if child := n.child[n.find(keys[n.by])]; child != none {
			ix.visit(child, keys, c)
		}
		at = n.rest
	}
}

// next takes out the candidate that is to be asked next.
func (c *candidates) next() (f uint32, ok bool) {
	switch c.n {
	case 0:
		return 0, false
	case 1:
		return c.take(0), true
	}
	first := 0
	for i := 1; i < c.n; i++ {
		if c.lists[i][0] < c.lists[first][0] {
			first = i
		}
	}
	return c.take(first), true
}

func (c *candidates) take(i int) uint32 {
	list := c.lists[i]
	f := list[0]
	if c.lists[i] = list[1:]; len(list) == 1 {
		c.n--
		c.lists[i] = c.lists[c.n]
	}
	return f
}

// skip takes out the candidates up to f.
func (c *candidates) skip(f uint32) {
	for i := 0; i < c.n; {
		list := c.lists[i]
		for len(list) > 0 && list[0] <= f {
			list = list[1:]
		}
		if c.lists[i] = list; len(list) > 0 {
			i++
			continue
		}
		c.n--
		c.lists[i] = c.lists[c.n]
	}
}
