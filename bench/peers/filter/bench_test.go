package filter

import (
	"testing"

	"github.com/weirnet/weir/bench/workload"
)

// BenchmarkMixed and BenchmarkHot report for one packet. weir bench filter --peers compares better: its runs are interleaved.
func BenchmarkMixed(b *testing.B) { each(b, workload.Mixed(4096, 1)) }

func BenchmarkHot(b *testing.B) { each(b, workload.Hot(19, 64)) }

func each(b *testing.B, traffic *Traffic) {
	hits := make([]bool, len(traffic.Data))
	for _, name := range workload.FilterNames {
		for _, e := range Engines {
			b.Run(string(name)+"/"+e.Name, func(b *testing.B) {
				match, err := e.Make(name)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					match(traffic, hits)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(hits)), "ns/packet")
				b.ReportMetric(100*Rate(hits), "%match")
			})
		}
	}
}
