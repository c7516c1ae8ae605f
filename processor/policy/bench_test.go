package policy

import (
	"fmt"
	"strings"
	"testing"
)

// A policy of 10,000 filters, from text to what workers use.
func BenchmarkParse10000Filters(b *testing.B) {
	var src strings.Builder
	src.WriteString("version: 1\nfilters:\n")
	for i := range 10_000 {
		fmt.Fprintf(&src, "  - {name: f%d, layer: outbound-transport, weight: %d, when: \"tcp.DstPort == %d and ip.DstAddr == 10.0.%d.%d\", action: block}\n",
			i, i, i%65536, i>>8&0xff, i&0xff)
	}
	text := []byte(src.String())
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("p", text, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
