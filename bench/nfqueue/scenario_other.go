//go:build !linux

package nfqueue

import "github.com/weirnet/weir/bench"

// Scenario cannot run here.
func Scenario(Config) bench.Scenario {
	s := scenario()
	s.Unable = bench.Unablef("it measures the Linux kernel's NFQUEUE")
	return s
}
