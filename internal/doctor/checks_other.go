//go:build !linux && !windows

package doctor

import "runtime"

var checks = []check{{"driver", driver}}

func kernel() string { return "" }

// driver says what there is on systems whose driver cannot be examined by this program.
func driver() []Finding {
	cost := "packets of this host cannot be diverted"
	return []Finding{{
		Name: "divert driver", State: Fail, Detail: "none for " + runtime.GOOS + " that this program can examine",
		Cost: cost, Remedy: "capture files (weir run -r FILE) and the simulator work here",
	}}
}
