package workload

import (
	"fmt"
	"strings"
)

// FilterName names a filter that engines are compared with.
type FilterName string

// The filters that are compared.
const (
	Short    FilterName = "short"    // tcp.DstPort == 443
	Medium   FilterName = "medium"   // outbound and tcp.DstPort == 443 and tcp.PayloadLength > 0 and !loopback
	Ranges20 FilterName = "ranges20" // twenty ranges of IPv4 addresses, joined by or: 10.x.1.0 to 10.x.1.255
)

// FilterNames lists them.
var FilterNames = []FilterName{Short, Medium, Ranges20}

// Span is a range of addresses, both ends included.
type Span struct{ Lo, Hi int }

// Spans are those of Ranges20, in the order of the filter; the last is the one that Hot(19) lies in.
func Spans() (all []Span) {
	for x := range 20 {
		lo := 10<<24 | x<<16 | 1<<8
		all = append(all, Span{lo, lo + 255})
	}
	return all
}

// Text is the filter in Weir's language.
func (n FilterName) Text() string {
	switch n {
	case Short:
		return "tcp.DstPort == 443"
	case Medium:
		return PipelineFilter
	}
	dotted := func(a int) any { return fmt.Sprintf("%d.%d.%d.%d", a>>24&255, a>>16&255, a>>8&255, a&255) }
	return JoinSpans("ip.DstAddr >= %s and ip.DstAddr <= %s", " or ", dotted)
}

// JoinSpans writes the ranges with a format of two verbs for each.
func JoinSpans(format, or string, show func(int) any) string {
	var terms []string
	for _, s := range Spans() {
		terms = append(terms, fmt.Sprintf(format, show(s.Lo), show(s.Hi)))
	}
	return strings.Join(terms, or)
}

// FilterTraffic are the values of parameter traffic in scenario filter.
var FilterTraffic = []string{"mixed", "hit", "miss"}

// NewTraffic returns the packets of such a value: 4,096 different ones, or one that each filter accepts or refuses, again and again.
func NewTraffic(name string, seed uint64) (*Traffic, error) {
	switch name {
	case "mixed":
		return Mixed(4096, seed), nil
	case "hit":
		return Hot(19, 64), nil
	case "miss":
		return Hot(39, 64), nil
	}
	return nil, fmt.Errorf("no traffic is called %q: want one of %v", name, FilterTraffic)
}

// Hits is the digest of a filter's answers.
func Hits(hits []bool) string {
	var d Digest
	n := uint64(0)
	for i, hit := range hits {
		if hit {
			n++
			d.Add(uint64(i))
		}
	}
	return fmt.Sprintf("%d of %d, %v", n, len(hits), &d)
}
