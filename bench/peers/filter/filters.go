package filter

import (
	"fmt"
	"strings"
)

// Name names a filter.
type Name string

// The filters that are compared.
const (
	Short    Name = "short"    // tcp.DstPort == 443
	Medium   Name = "medium"   // outbound and tcp.DstPort == 443 and tcp.PayloadLength > 0 and !loopback
	Ranges20 Name = "ranges20" // twenty ranges of IPv4 addresses, joined by or: 10.x.1.0 to 10.x.1.255
)

// Names lists them.
var Names = []Name{Short, Medium, Ranges20}

// The port of Short and Medium.
const port = 443

// A span is a range of addresses, both ends included.
type span struct{ lo, hi int }

// spans are those of Ranges20, in the order of the filter; the last is the one that Hot(19) lies in.
func spans() (all []span) {
	for x := range 20 {
		lo := 10<<24 | x<<16 | 1<<8
		all = append(all, span{lo, lo + 255})
	}
	return all
}

func dotted(a int) string { return fmt.Sprintf("%d.%d.%d.%d", a>>24&255, a>>16&255, a>>8&255, a&255) }

// joined writes the ranges with a format of two verbs for each.
func joined(format, or string, show func(int) any) string {
	var terms []string
	for _, s := range spans() {
		terms = append(terms, fmt.Sprintf(format, show(s.lo), show(s.hi)))
	}
	return strings.Join(terms, or)
}

func number(a int) any { return a }
