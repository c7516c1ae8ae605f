package filter

// native is what a compiler makes of the filter when it is written in Go.
func native(n Name) (Matcher, error) {
	switch n {
	case Short:
		return func(p []Packet, hits []bool) {
			for i := range p {
				f := &p[i].Fields
				hits[i] = f.TCP && f.DstPort == port
			}
		}, nil
	case Medium:
		return func(p []Packet, hits []bool) {
			for i := range p {
				f := &p[i].Fields
				hits[i] = f.Outbound && f.TCP && f.DstPort == port && f.PayloadLength > 0 && !f.Loopback
			}
		}, nil
	}
	all := spans()
	return func(p []Packet, hits []bool) {
		for i := range p {
			hits[i] = p[i].Fields.IP && inAny(p[i].Fields.DstAddr, all)
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
