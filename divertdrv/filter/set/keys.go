package set

import (
	"cmp"
	"slices"
)

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

// stretches are the keys of spans.
func stretches(narrow []span[uint32], wide []span[value6]) (keys []Key) {
	all := coarser(narrow, func(v uint32) uint64 { return uint64(v) })
	all = append(all, coarser(wide, func(v value6) uint64 { return v.hi })...)
	for _, k := range join(all, cmp.Compare, func(a, b uint64) bool { return b != 0 && a == b-1 }) {
		keys = append(keys, Key{k.lo, k.hi})
	}
	return keys
}

// coarser returns spans of the keys of others, which are in order; half of KeysMax at most, that cover them.
func coarser[V any](all []span[V], key func(V) uint64) (keys []span[uint64]) {
	each := max(1, (len(all)+KeysMax/2-1)/(KeysMax/2))
	for i := 0; i < len(all); i += each {
		keys = append(keys, span[uint64]{key(all[i].lo), key(all[min(i+each, len(all))-1].hi)})
	}
	return keys
}
