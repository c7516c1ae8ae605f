package filter

import "github.com/weirnet/weir/bench/workload"

// native is what a compiler makes of the filter when it is written in Go.
func native(n Name) (Matcher, error) {
	switch n {
	case Short:
		return func(t *Traffic, hits []bool) {
			for i := range hits {
				f := &t.Fields[i]
				hits[i] = f.TCP && f.DstPort == port
			}
		}, nil
	case Medium:
		return func(t *Traffic, hits []bool) {
			for i := range hits {
				f := &t.Fields[i]
				hits[i] = f.Outbound && f.TCP && f.DstPort == port && f.PayloadLength > 0 && !f.Loopback
			}
		}, nil
	}
	all := workload.Spans()
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			hits[i] = t.Fields[i].IP && inAny(t.Fields[i].DstAddr, all)
		}
	}, nil
}

func inAny(a int, all []workload.Span) bool {
	for _, s := range all {
		if a >= s.Lo && a <= s.Hi {
			return true
		}
	}
	return false
}
