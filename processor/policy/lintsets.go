package policy

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv/filter/set"
)

// overlapsShown bounds the overlaps of one set that are told; the rest are counted.
const overlapsShown = 5

// lintSets: sets that are empty or that nobody names, and entries that add nothing.
func (f *File) lintSets() (all []Lint) {
	used := map[string]bool{}
	for _, s := range f.document.Filters {
		for _, c := range s.V.Conditions.V {
			used[c.V.Set.V] = true
		}
	}
	for i := range f.Sets {
		s := &f.Sets[i]
		if !used[s.Name] {
			all = append(all, Lint{s.Place, "", fmt.Sprintf("set %q is named by no filter", s.Name), "remove it, or name it in a condition of a filter"})
		}
		if s.Len() == 0 {
			all = append(all, Lint{s.Place, "", fmt.Sprintf("set %q is empty: nothing is in it", s.Name), "add entries, or remove it"})
		}
		all = append(all, s.overlaps()...)
	}
	return all
}

func (s *Set) overlaps() (all []Lint) {
	first, n := s.Overlaps(overlapsShown)
	for _, o := range first {
		what := "overlaps with"
		switch {
		case o.Same:
			what = "is given twice: it is"
		case o.Whole:
			what = "adds nothing: it is in"
		}
		all = append(all, Lint{
			s.placeOf(&o.Entry), "", fmt.Sprintf("set %q: %v %s %v at %s", s.Name, o.Entry, what, o.With, s.placeOf(&o.With).seenFrom(s.placeOf(&o.Entry))),
			"remove it, or join the two",
		})
	}
	if n > len(first) {
		all = append(all, Lint{s.Place, "", fmt.Sprintf("set %q: %d more entries overlap with others", s.Name, n-len(first)), "let a program put them in order and join them"})
	}
	return all
}

func (s *Set) placeOf(e *set.Entry) Place { return Place{e.File, e.Line, 1} }
