package filter

import (
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

// batch is how many packets MatchBatch gets at a time.
const batch = 64

func weirProgram(n Name) (*filter.Program, error) {
	return filter.Parse(n.Text(), addr.Network)
}

func weirMatch(n Name) (Matcher, error) {
	prog, err := weirProgram(n)
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			hits[i] = prog.Match(&t.Addrs[i], t.Data[i], &t.Headers[i])
		}
	}, err
}

func weirParse(n Name) (Matcher, error) {
	prog, err := weirProgram(n)
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			hits[i] = prog.Match(&t.Addrs[i], t.Data[i], nil)
		}
	}, err
}

func weirBatch(n Name) (Matcher, error) {
	prog, err := weirProgram(n)
	return func(t *Traffic, hits []bool) {
		for i := 0; i < len(hits); i += batch {
			to := min(i+batch, len(hits))
			prog.MatchBatch(t.Views[i:to], hits[i:to])
		}
	}, err
}
