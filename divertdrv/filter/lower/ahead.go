package lower

import "github.com/weirnet/weir/divertdrv/filter"

// ahead knows of two tests, one behind the other, whether a packet that comes to accept from the one does so from the other.
// So of the tests of a state many need not be asked, and a text that has tests which are left to user space makes no more
// states than it has tests.
type ahead struct {
	// Of tests that are behind test i: on all ways from i to accept, or to reject.
	toAccept, toReject []set
}

func newAhead(tests []filter.Test) *ahead {
	return &ahead{onAllWays(tests, filter.Accept), onAllWays(tests, filter.Reject)}
}

// onAllWays returns for each test those behind it that are on all of its ways to an end; all, where it has no way there.
func onAllWays(tests []filter.Test, end int) []set {
	on := make([]set, len(tests))
	from := func(edge int) set {
		switch {
		case edge == end:
			return set{}
		case edge == filter.Accept || edge == filter.Reject:
			return set{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		}
		s := on[edge]
		s.add(edge)
		return s
	}
	for i := len(tests) - 1; i >= 0; i-- {
		a, b := from(tests[i].True), from(tests[i].False)
		for w := range a {
			on[i][w] = a[w] & b[w]
		}
	}
	return on
}

// prune drops the tests of s that need not be asked, since whoever comes to accept from them does so from another.
func (a *ahead) prune(s *set) {
	for i := range s.all {
		for j := range s.all {
			switch {
			case j <= i:
			case a.toAccept[i].has(j): // who comes to accept from i comes by j
				s.remove(i)
			case a.toReject[i].has(j): // who does not come to accept from i comes by j
				s.remove(j)
			}
			if !s.has(i) {
				break
			}
		}
	}
}
