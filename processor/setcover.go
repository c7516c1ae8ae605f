package processor

import (
	"strings"

	"github.com/weirnet/weir/divertdrv/filter/set"
)

// coverMax bounds the entries of one field that Cover writes out: a program of the filter language has 255 tests at most, and a kernel
// asks each of them of each packet.
const coverMax = 64

// Cover says in the filter language what holds of every packet that meets them, for a driver to leave other packets in the kernel; empty:
// nothing is known, because sets are too large, or all conditions are on what is not in a set. nil covers nothing.
func (s *SetConditions) Cover() string {
	if s == nil {
		return ""
	}
	var all []string
	for from, to := range s.groups() {
		if text := s.cover(s.all[from:to]); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, " and ")
}

// cover is that of conditions of which one is enough.
func (s *SetConditions) cover(group []SetCondition) string {
	var entries []set.Entry
	for i := range group {
		if group[i].Not || len(entries)+group[i].Set.Len() > coverMax {
			return ""
		}
		entries = append(entries, group[i].Set.Entries()...)
	}
	if len(entries) == 0 {
		return "false"
	}
	conditions := make([]Condition, len(entries))
	for i, e := range entries {
		conditions[i] = conditionOf(group[0].Field, e)
	}
	text, err := ConditionText(s.layer, conditions)
	if err != nil { // the field was checked when s was made; a driver that gets too much loses nothing
		return ""
	}
	return text
}

func conditionOf(f Field, e set.Entry) Condition {
	var lo, hi any
	if e.Kind() == set.Ports {
		lo, hi = ends(e.Ports())
	} else {
		lo, hi = ends(e.Addrs())
	}
	if lo == hi {
		return Condition{Field: f, Match: MatchEqual, Value: lo}
	}
	return Condition{Field: f, Match: MatchRange, Value: Range{Low: lo, High: hi}}
}

func ends[V any](lo, hi V) (a, b any) { return lo, hi }
