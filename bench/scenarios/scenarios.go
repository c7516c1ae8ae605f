// Package scenarios has what `weir bench` measures of Weir by itself: a file for each scenario. Peers are added by the program that
// runs them, see package bench.
package scenarios

import "github.com/weirnet/weir/bench"

// All returns the scenarios of this package, in the order of a packet's way.
func All() []bench.Scenario {
	return []bench.Scenario{parse(), checksum(), filtering(), classify(), pipeline(), hop(), flows(), lookup(), streams(), simulator(), capture(), windivert()}
}
