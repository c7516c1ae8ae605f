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

// Key is where a value of a set stands among the keys of filter.Keys: a port, an IPv4 address, or the upper half of an IPv6 one.
type Key struct{ Lo, Hi uint64 }

// KeysMax bounds what Keys returns: every filter that names the set keeps it, and an index sorts it.
const KeysMax = 64

// Keys returns stretches of keys in which all of the set lies, in order and apart; empty, not nil, for an empty set. Where it has more
// than KeysMax, those next to each other are one, with what is between them.
func (s *Set) Keys() []Key {
	if s.Len() == 0 {
		return []Key{}
	}
	return slices.Clone(s.keys)
}

// stretches are the keys of spans in order and apart.
func stretches(narrow []span, wide []span6) []Key {
	keys := coarser(len(narrow), func(i int) Key { return Key{uint64(narrow[i].lo), uint64(narrow[i].hi)} })
	keys = append(keys, coarser(len(wide), func(i int) Key { return Key{wide[i].lo.hi, wide[i].hi.hi} })...)
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Lo, b.Lo) })
	apart := keys[:0]
	for _, k := range keys {
		n := len(apart)
		switch {
		case n == 0 || apart[n-1].Hi != 1<<64-1 && k.Lo > apart[n-1].Hi+1:
			apart = append(apart, k)
		case k.Hi > apart[n-1].Hi:
			apart[n-1].Hi = k.Hi
		}
	}
	return slices.Clip(apart)
}

// coarser returns n stretches that are in order, or half of KeysMax that cover them.
func coarser(n int, at func(i int) Key) (keys []Key) {
	each := max(1, (n+KeysMax/2-1)/(KeysMax/2))
	for i := 0; i < n; i += each {
		keys = append(keys, Key{at(i).Lo, at(min(i+each, n) - 1).Hi})
	}
	return keys
}
