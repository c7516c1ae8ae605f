// Package set holds sets of addresses or of ports: a hundred thousand entries are asked by two binary searches at most, without
// allocation. A set never changes, so any goroutine may ask it.
package set

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sort"
)

// EntriesMax bounds the entries of a set.
const EntriesMax = 1 << 20

// Kind is what the entries of a set are.
type Kind uint8

// The kinds.
const (
	Empty Kind = iota // no entries, so it goes with any field
	Addresses
	Ports
)

var kindNames = [...]string{"nothing", "addresses", "ports"}

func (k Kind) String() string { return kindNames[k] }

// Errors of New.
var (
	ErrMixed   = errors.New("addresses and ports do not go into one set")
	ErrTooMany = errors.New("more than 1048576 entries")
)

// Set is a set of addresses, IPv4 and IPv6, or of ports. The zero value and nil are empty.
type Set struct {
	kind    Kind
	entries []Entry        // as they were given
	narrow  []span[uint32] // IPv4 addresses or ports, in order and apart
	wide    []span[value6] // IPv6 addresses, likewise
	keys    []Key          // see Keys

	coarse []uint32 // of IPv4, by the upper half of an address: the first of narrow that reaches it; nil: there are few
}

// span is the values from lo to hi.
type span[V any] struct{ lo, hi V }

// value6 is an IPv6 address.
type value6 struct{ hi, lo uint64 }

func (a value6) compare(b value6) int {
	return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

// touches says whether b is the value behind a.
func (a value6) touches(b value6) bool {
	if a.lo++; a.lo == 0 {
		a.hi++
	}
	return a == b && b != value6{}
}

// New makes a set of entries, which it keeps; the caller must not change them. Errors: ErrMixed, ErrTooMany.
func New(entries []Entry) (*Set, error) {
	if len(entries) > EntriesMax {
		return nil, ErrTooMany
	}
	s := &Set{entries: entries}
	for i := range entries {
		e := &entries[i]
		if s.kind == Empty {
			s.kind = e.kind
		}
		switch {
		case e.kind != s.kind:
			return nil, ErrMixed
		case e.v6:
			s.wide = append(s.wide, span[value6]{e.lo, e.hi})
		default:
			s.narrow = append(s.narrow, span[uint32]{uint32(e.lo.lo), uint32(e.hi.lo)})
		}
	}
	s.narrow = join(s.narrow, cmp.Compare, func(a, b uint32) bool { return b != 0 && a == b-1 })
	s.wide = join(s.wide, value6.compare, value6.touches)
	s.keys = stretches(s.narrow, s.wide)
	s.accelerate()
	return s, nil
}

// coarseFrom is the number of spans from which a table of the upper halves pays, which takes 256 KiB.
const coarseFrom = 256

func (s *Set) accelerate() {
	if s.kind != Addresses || len(s.narrow) < coarseFrom {
		return
	}
	s.coarse = make([]uint32, 1<<16+1)
	at := 0
	for i := range s.coarse {
		for at < len(s.narrow) && uint64(s.narrow[at].hi) < uint64(i)<<16 {
			at++
		}
		s.coarse[i] = uint32(at)
	}
}

// join puts spans in order and makes one of those that overlap or touch: b is the value behind a.
func join[V any](all []span[V], compare func(a, b V) int, touch func(a, b V) bool) []span[V] {
	slices.SortFunc(all, func(a, b span[V]) int { return compare(a.lo, b.lo) })
	apart := all[:0]
	for _, s := range all {
		n := len(apart)
		switch {
		case n == 0 || compare(s.lo, apart[n-1].hi) > 0 && !touch(apart[n-1].hi, s.lo):
			apart = append(apart, s)
		case compare(s.hi, apart[n-1].hi) > 0:
			apart[n-1].hi = s.hi
		}
	}
	return slices.Clip(apart)
}

// Kind says what the entries are.
func (s *Set) Kind() Kind {
	if s == nil {
		return Empty
	}
	return s.kind
}

// Len is the number of entries, as they were given.
func (s *Set) Len() int { return len(s.Entries()) }

// Entries are the entries as they were given. The caller must not change them.
func (s *Set) Entries() []Entry {
	if s == nil {
		return nil
	}
	return s.entries
}

// Equal says whether two sets hold the same, by whatever entries.
func (s *Set) Equal(t *Set) bool {
	if s.Len() == 0 || t.Len() == 0 {
		return s.Len() == t.Len()
	}
	return s.kind == t.kind && slices.Equal(s.narrow, t.narrow) && slices.Equal(s.wide, t.wide)
}

// Has4 says whether an IPv4 address is in the set.
func (s *Set) Has4(a uint32) bool {
	if s == nil || s.kind != Addresses {
		return false
	}
	from, to := 0, len(s.narrow)
	if s.coarse != nil {
		from, to = int(s.coarse[a>>16]), int(s.coarse[a>>16+1])
	}
	return has(s.narrow, a, from, to)
}

// HasPort says whether a port is in the set.
func (s *Set) HasPort(p uint16) bool {
	return s != nil && s.kind == Ports && has(s.narrow, uint32(p), 0, len(s.narrow))
}

// Has6 says whether an IPv6 address, in its two halves, is in the set.
func (s *Set) Has6(hi, lo uint64) bool {
	if s == nil {
		return false
	}
	v := value6{hi, lo}
	i := sort.Search(len(s.wide), func(i int) bool { return s.wide[i].hi.compare(v) >= 0 })
	return i < len(s.wide) && s.wide[i].lo.compare(v) <= 0
}

// HasAddr says whether an address is in the set; an IPv4 address that is written as IPv6 is that IPv4 address.
func (s *Set) HasAddr(a netip.Addr) bool {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return s.Has4(binary.BigEndian.Uint32(b[:]))
	}
	v := value6Of(a)
	return a.IsValid() && s.Has6(v.hi, v.lo)
}

// has looks for the first span that reaches v, which stands between from and to; both may be it.
func has(all []span[uint32], v uint32, from, to int) bool {
	for from < to {
		if mid := int(uint(from+to) >> 1); all[mid].hi < v {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from < len(all) && all[from].lo <= v
}

func value6Of(a netip.Addr) value6 {
	b := a.As16()
	return value6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}
