package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// The filters that spec'd figures are given for; ranges20 is twenty address ranges, of which the last holds the packet.
const (
	shortFilter  = "tcp.DstPort == 443"
	mediumFilter = "outbound and tcp.DstPort == 443 and tcp.PayloadLength > 0 and !loopback"
)

func ranges(n, last int) string {
	var terms []string
	for i := range n {
		if i == n-1 {
			i = last
		}
		terms = append(terms, fmt.Sprintf("ip.DstAddr >= 10.%d.1.0 and ip.DstAddr <= 10.%d.1.255", i, i))
	}
	return strings.Join(terms, " or ")
}

// hotPacket is TCP from 192.168.1.2:4000 to 10.77.1.9:443 with four bytes of payload.
func hotPacket() (a addr.Address, pkt []byte, h wire.Headers) {
	pkt = []byte{
		0x45, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 168, 1, 2, 10, 77, 1, 9,
		0x0f, 0xa0, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4,
	}
	a.SetOutbound(true)
	wire.Parse(pkt, &h)
	return a, pkt, h
}

func BenchmarkMatch(b *testing.B) {
	for _, bm := range []struct{ name, src string }{
		{"short", shortFilter},
		{"medium", mediumFilter},
		{"ranges20hit", ranges(20, 77)},
		{"ranges20miss", ranges(20, 78)},
		{"local", "remoteAddr == 10.77.1.9 and remotePort == 443"},
		{"payload", "tcp.Payload32[0] == 0x01020304 and tcp.Payload[-1] == 4"},
		{"true", "true"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p, err := Parse(bm.src, addr.Network)
			if err != nil {
				b.Fatal(err)
			}
			a, pkt, h := hotPacket()
			b.ReportAllocs()
			hits := 0
			for b.Loop() {
				if p.Match(&a, pkt, &h) {
					hits++
				}
			}
			b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
		})
	}
}

// BenchmarkMatchBatch is the same a batch at a time; it reports for one packet.
func BenchmarkMatchBatch(b *testing.B) {
	for _, bm := range []struct{ name, src string }{
		{"short", shortFilter},
		{"medium", mediumFilter},
		{"ranges20hit", ranges(20, 77)},
		{"ranges20miss", ranges(20, 78)},
		{"local", "remoteAddr == 10.77.1.9 and remotePort == 443"},
		{"payload", "tcp.Payload32[0] == 0x01020304 and tcp.Payload[-1] == 4"},
		{"true", "true"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p, err := Parse(bm.src, addr.Network)
			if err != nil {
				b.Fatal(err)
			}
			a, pkt, h := hotPacket()
			v := make([]View, 64)
			for i := range v {
				v[i] = View{&a, pkt, &h}
			}
			hits := make([]bool, len(v))
			b.ReportAllocs()
			for b.Loop() {
				p.MatchBatch(v, hits)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(v)), "ns/packet")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, src := range []string{shortFilter, mediumFilter, ranges(20, 77), ranges(127, 128)} {
		b.Run(fmt.Sprint(len(src)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(src, addr.Network); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
