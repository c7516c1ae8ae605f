package filter

import "slices"

// A chain is steps that follow each other, each of which either leaves for one and the same target or goes on to the next: the
// terms of an "or", or of an "and". Their order does not matter, so regroup puts the facts first, where one look answers them
// all, and then together what loads the same value, so that join makes one step of it: twenty ranges become one set.
type chain struct {
	target uint16
	links  []link
}

// link is a step of a chain and the edge by which it goes on.
type link struct {
	at   uint16
	next uint16
}

func (g *graph) regroup() {
	ways := g.ways()
	done := make([]bool, len(g.steps))
	for i := range g.steps {
		if ways[i] == 0 || done[i] {
			continue
		}
		c := g.chainFrom(uint16(i), ways)
		for _, l := range c.links {
			done[l.at] = true
		}
		if len(c.links) > 1 {
			g.order(&c)
		}
	}
}

// ways counts for each step the steps, and the entry, that lead to it; 0: it is not reached.
func (g *graph) ways() []int {
	ways := make([]int, len(g.steps))
	ways[0]++
	for i := range g.steps {
		if ways[i] == 0 {
			continue
		}
		for _, edge := range g.steps[i].targets() {
			if edge < accept {
				ways[edge]++
			}
		}
	}
	return ways
}

// targets returns where a step can go, each once.
func (s *step) targets() (edges []uint16) {
	s.edges(func(edge uint16) {
		if !slices.Contains(edges, edge) {
			edges = append(edges, edge)
		}
	})
	return edges
}

// chainFrom returns the longest chain that starts at a step.
func (g *graph) chainFrom(at uint16, ways []int) (c chain) {
	edges := g.steps[at].targets()
	if len(edges) != 2 {
		return c
	}
	for i, target := range edges {
		if links := g.links(at, target, edges[1-i], ways); len(links) > len(c.links) {
			c = chain{target, links}
		}
	}
	return c
}

// links follows a chain to its end. Only its first step may be reached from elsewhere.
func (g *graph) links(at, target, next uint16, ways []int) []link {
	links := []link{{at, next}}
	for next < accept && ways[next] == 1 {
		edges := g.steps[next].targets()
		if len(edges) != 2 || !slices.Contains(edges, target) {
			break
		}
		at, next = next, edges[0]
		if next == target {
			next = edges[1]
		}
		links = append(links, link{at, next})
	}
	return links
}

// order sorts the steps of a chain and links them anew.
func (g *graph) order(c *chain) {
	rank := map[uint16]int{}
	for _, l := range c.links {
		s := &g.steps[l.at]
		if _, known := rank[s.variable]; !known {
			rank[s.variable] = len(rank) + 1
		}
		if s.class == classFact {
			rank[s.variable] = 0
		}
	}
	sorted := slices.Clone(c.links)
	slices.SortStableFunc(sorted, func(a, b link) int { return rank[g.steps[a.at].variable] - rank[g.steps[b.at].variable] })
	steps := make([]step, len(sorted))
	for i, l := range sorted {
		next := c.links[len(c.links)-1].next
		if i+1 < len(sorted) {
			next = c.links[i+1].at
		}
		steps[i] = g.steps[l.at]
		steps[i].relink(l.next, next)
	}
	for i, l := range c.links {
		g.steps[l.at] = steps[i]
	}
}

// relink replaces an edge.
func (s *step) relink(from, to uint16) {
	for i := range s.pieces {
		if s.pieces[i].edge == from {
			s.pieces[i].edge = to
		}
	}
	if s.none == from {
		s.none = to
	}
}
