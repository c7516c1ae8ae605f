package filter

import "github.com/weirnet/weir/bench/workload"

type closure func(f *Fields) bool

func and(terms ...closure) closure {
	if len(terms) == 1 {
		return terms[0]
	}
	a, b := terms[0], and(terms[1:]...)
	return func(f *Fields) bool { return a(f) && b(f) }
}

func or(terms ...closure) closure {
	if len(terms) == 1 {
		return terms[0]
	}
	a, b := terms[0], or(terms[1:]...)
	return func(f *Fields) bool { return a(f) || b(f) }
}

// closures is what people write by hand: a tree of functions.
func closures(n Name) (Matcher, error) {
	var match closure
	isTCP := func(f *Fields) bool { return f.TCP }
	dstPort := func(f *Fields) bool { return f.DstPort == port }
	switch n {
	case Short:
		match = and(isTCP, dstPort)
	case Medium:
		outbound := func(f *Fields) bool { return f.Outbound }
		payload := func(f *Fields) bool { return f.PayloadLength > 0 }
		notLoopback := func(f *Fields) bool { return !f.Loopback }
		match = and(outbound, isTCP, dstPort, payload, notLoopback)
	default:
		var terms []closure
		for _, s := range workload.Spans() {
			terms = append(terms, and(
				func(f *Fields) bool { return f.DstAddr >= s.Lo },
				func(f *Fields) bool { return f.DstAddr <= s.Hi }))
		}
		match = and(func(f *Fields) bool { return f.IP }, or(terms...))
	}
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			hits[i] = match(&t.Fields[i])
		}
	}, nil
}
