package filter

import "testing"

// BenchmarkMixed and BenchmarkHot report for one packet.
func BenchmarkMixed(b *testing.B) { each(b, Traffic(4096, 1)) }

func BenchmarkHot(b *testing.B) { each(b, Repeated(Hot(19), 64)) }

func each(b *testing.B, packets []Packet) {
	hits := make([]bool, len(packets))
	for _, name := range Names {
		for _, e := range Engines {
			b.Run(string(name)+"/"+e.Name, func(b *testing.B) {
				match, err := e.Make(name)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					match(packets, hits)
				}
				n := 0
				for _, hit := range hits {
					if hit {
						n++
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
				b.ReportMetric(100*float64(n)/float64(len(hits)), "%match")
			})
		}
	}
}
