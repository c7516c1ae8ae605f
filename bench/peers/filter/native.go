package filter

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
	all := spans()
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			hits[i] = t.Fields[i].IP && inAny(t.Fields[i].DstAddr, all)
		}
	}, nil
}

func inAny(a int, all []span) bool {
	for _, s := range all {
		if a >= s.lo && a <= s.hi {
			return true
		}
	}
	return false
}
