package set

import (
	"cmp"
	"net/netip"
	"slices"
)

// Find returns the narrowest entry that an address is in, for explanations: it looks at every entry.
func (s *Set) Find(a netip.Addr) (Entry, bool) {
	if !a.IsValid() {
		return Entry{}, false
	}
	return s.find(entryOf(a.Unmap()))
}

// FindPort returns the narrowest entry that a port is in, likewise.
func (s *Set) FindPort(p uint16) (Entry, bool) {
	v := value6{lo: uint64(p)}
	return s.find(Entry{kind: Ports, lo: v, hi: v})
}

func (s *Set) find(of Entry) (best Entry, found bool) {
	for _, e := range s.Entries() {
		if e.holds(&of) && (!found || best.holds(&e)) {
			best, found = e, true
		}
	}
	return best, found
}

// holds says whether all of f is in e.
func (e *Entry) holds(f *Entry) bool {
	return e.kind == f.kind && e.v6 == f.v6 && e.lo.compare(f.lo) <= 0 && f.hi.compare(e.hi) <= 0
}

// Overlap is an entry some or all of which is in another one already.
type Overlap struct {
	Entry, With Entry
	Same        bool // they are the same
	Whole       bool // all of Entry is in With
}

// Overlaps returns the first entries, at most limit, that overlap with others, in the order of their values, and how many there are.
func (s *Set) Overlaps(limit int) (first []Overlap, all int) {
	sorted := slices.Clone(s.Entries())
	slices.SortStableFunc(sorted, func(a, b Entry) int {
		return cmp.Or(compareBool(a.v6, b.v6), a.lo.compare(b.lo), b.hi.compare(a.hi))
	})
	widest := 0 // the entry that reaches furthest so far
	for i := 1; i < len(sorted); i++ {
		e, with := &sorted[i], &sorted[widest]
		if e.v6 != with.v6 || e.lo.compare(with.hi) > 0 {
			widest = i
			continue
		}
		if all++; len(first) < limit {
			first = append(first, Overlap{*e, *with, e.lo == with.lo && e.hi == with.hi, with.holds(e)})
		}
		if e.hi.compare(with.hi) > 0 {
			widest = i
		}
	}
	return first, all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
