package lower

// merge joins nodes that ask for the same value, one behind the other, so that a chain of comparisons of one field (ports,
// addresses) becomes one load and a search. Only a node that has one before it is joined to that, so the pieces do not grow in
// number. A node that then always takes one edge goes.
func (g *graph) merge() {
	before := g.predecessors()
	become := make([]edge, len(g.nodes))
	for e := range g.nodes {
		n := &g.nodes[e]
		g.rename(n, become)
		g.join(n, before)
		become[e] = edge(e)
		if n.decided() {
			become[e] = n.pieces[0].to
		}
	}
	for w, e := range g.entry {
		if e >= 0 {
			g.entry[w] = become[e]
		}
	}
}

// rename leads the edges of n to what their nodes became.
func (g *graph) rename(n *node, become []edge) {
	if n.none >= 0 {
		n.none = become[n.none]
	}
	var d []piece
	for _, p := range n.pieces {
		if p.to >= 0 {
			p.to = become[p.to]
		}
		d = appendPiece(d, p)
	}
	n.pieces = d
}

// decided says that n takes the same edge for all packets.
func (n *node) decided() bool {
	return len(n.pieces) == 1 && (!n.load.mayFail() || n.pieces[0].to == n.none)
}

// join takes the pieces of the nodes that n leads to and that ask for the same value. These have been joined before.
func (g *graph) join(n *node, before []int) {
	joined := func(to edge) bool { return to >= 0 && before[to] == 1 && g.nodes[to].load == n.load }
	if joined(n.none) {
		n.none = g.nodes[n.none].none
	}
	var all []piece
	var from value
	for i, p := range n.pieces {
		if joined(p.to) {
			all = g.splice(all, from, p)
		} else {
			all = appendPiece(all, p)
		}
		if i < len(n.pieces)-1 {
			from = p.upper.next()
		}
	}
	n.pieces = all
}

// splice appends to d the pieces of the node that p leads to, as far as they are among its values, of which from is the least.
func (g *graph) splice(d []piece, from value, p piece) []piece {
	for _, q := range g.nodes[p.to].pieces {
		switch {
		case q.upper.cmp(from) < 0:
		case q.upper.cmp(p.upper) >= 0:
			return appendPiece(d, piece{p.upper, q.to})
		default:
			d = appendPiece(d, q)
		}
	}
	return d
}

// predecessors counts for each node those that lead to it, of what can be reached from the entries.
func (g *graph) predecessors() []int {
	count := make([]int, len(g.nodes))
	entries := map[edge]bool{}
	for _, e := range g.entry {
		if e >= 0 && !entries[e] {
			entries[e] = true
			count[e]++
		}
	}
	for e := len(g.nodes) - 1; e >= 0; e-- {
		if count[e] == 0 {
			continue
		}
		for to := range g.nodes[e].targets {
			count[to]++
		}
	}
	return count
}

// targets calls f for each node that n leads to, once.
func (n *node) targets(f func(to edge) bool) {
	seen := map[edge]bool{accept: true, reject: true, ask: true}
	call := func(to edge) bool {
		if seen[to] {
			return true
		}
		seen[to] = true
		return f(to)
	}
	if n.load.mayFail() && !call(n.none) {
		return
	}
	for _, p := range n.pieces {
		if !call(p.to) {
			return
		}
	}
}
