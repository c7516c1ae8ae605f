package processor

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject/craft"
)

// BenchmarkClassify is everything between Recv and Complete for one packet, with so many filters: headers, flow, layers, verdict.
// Every other packet is one that a filter matches, and is blocked. Adversarial filters are of every combination of dimensions, so
// that a packet comes to as many leaves as can be.
func BenchmarkClassify(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("filters=%d", n), func(b *testing.B) {
			filters, hits := rules(b, n)
			benchmarkClassify(b, filters, hits, true)
		})
	}
	b.Run("filters=10000/adversarial", func(b *testing.B) {
		filters, hits := adversarial(b, 10_000)
		benchmarkClassify(b, filters, hits, false)
	})
}

// adversarial are filters of all 15 combinations of addresses and ports, and for each a packet that it matches.
func adversarial(t testing.TB, n int) (filters []Filter, hits [][]byte) {
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range n {
		text := "ip"
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(rng.IntN(256)), byte(rng.IntN(256))}), uint16(1+rng.IntN(65535)))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(rng.IntN(256)), byte(rng.IntN(256))}), uint16(1+rng.IntN(65535)))
		for d, test := range []string{
			fmt.Sprintf("ip.SrcAddr == %v", src.Addr()), fmt.Sprintf("ip.DstAddr == %v", dst.Addr()),
			fmt.Sprintf("tcp.SrcPort == %d", src.Port()), fmt.Sprintf("tcp.DstPort == %d", dst.Port()),
		} {
			if (i%15+1)>>d&1 != 0 {
				text += " and " + test
			}
		}
		filters = append(filters, Filter{Name: fmt.Sprint("f", i), Layer: OutboundIPPacket, When: when(t, text), Action: ActionBlock})
		hits = append(hits, must(craft.TCP(src, dst, craft.Segment{Flags: ackFlag}, make([]byte, 20))))
	}
	return filters, hits
}

// anyPort: the filters do not look at source ports, so that as many flows can be made whatever their number.
func benchmarkClassify(b *testing.B, filters []Filter, hits [][]byte, anyPort bool) {
	_, w := still(b, Config{Policy: policyOf(b, filters...)})
	w.adopt()
	rng := rand.New(rand.NewPCG(3, 3))
	var packets []*divertdrv.Packet
	for i := range 256 {
		pkt := slices.Clone(hits[rng.IntN(len(hits))])
		if anyPort {
			binary.BigEndian.PutUint16(pkt[20:], uint16(1024+i))
		}
		if i%2 == 0 {
			pkt = must(craft.TCP(here, netip.AddrPortFrom(randomAddr(rng), 443), craft.Segment{Flags: ackFlag}, make([]byte, 20)))
		}
		packets = append(packets, outboundPacket(pkt))
	}
	passed, asked := 0, 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		pkt := packets[i%len(packets)]
		pkt.SetDirty() // headers are decoded each time
		asked++
		passed += b2i(w.judge(inNoBatch, pkt, int64(i)).passes())
	}
	b.ReportMetric(100*float64(passed)/float64(asked), "%passed")
}

// BenchmarkFlows is everything between Recv and Complete for a packet of one of so many flows, in random order, in batches of 64. Ten
// filters look at each.
func BenchmarkFlows(b *testing.B) {
	filters, _ := rules(b, 10)
	for _, flows := range []int{1e3, 1e5, 1e6} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			p, w := still(b, Config{Policy: policyOf(b, filters...), Flows: max(flows+flows/2, 8192)})
			w.adopt()
			var packets []divertdrv.Packet
			for range 64 {
				packets = append(packets, *outboundPacket(must(craft.UDP(here, there, make([]byte, 32)))))
			}
			batch := func(flow func() uint32) {
				for i := range packets {
					binary.BigEndian.PutUint32(packets[i].Data[12:], 0x0a000000|flow())
					packets[i].SetDirty()
				}
				w.flows.touch(packets)
				for i := range packets {
					w.judge(inNoBatch, &packets[i], 0)
				}
			}
			n := uint32(0)
			for int(n) < flows {
				batch(func() uint32 { n++; return n % uint32(flows) })
			}
			rng := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += len(packets) {
				batch(func() uint32 { return rng.Uint32N(uint32(flows)) })
			}
			if got := p.Stats().Flows; got != uint64(flows) {
				b.Errorf("%d flows, want %d", got, flows)
			}
		})
	}
}
