package processor

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject/craft"
)

// BenchmarkClassify is everything between Recv and Complete for one packet, with so many filters: headers, flow, layers, verdict.
// Adversarial filters are of every combination of dimensions, so that a packet comes to as many leaves as can be.
func BenchmarkClassify(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("filters=%d", n), func(b *testing.B) { benchmarkClassify(b, tenThousand(b, n)) })
	}
	b.Run("filters=10000/adversarial", func(b *testing.B) { benchmarkClassify(b, adversarial(b, 10_000)) })
}

func adversarial(t testing.TB, n int) []Filter {
	rng := rand.New(rand.NewPCG(9, 9))
	var all []Filter
	for i := range n {
		text := "ip"
		for d, test := range []string{"ip.SrcAddr == 10.0.%d.%d", "ip.DstAddr == 192.0.%d.%d", "tcp.SrcPort == %d", "tcp.DstPort == %d"} {
			if (i%15+1)>>d&1 == 0 {
				continue
			}
			text += " and "
			if d < 2 {
				text += fmt.Sprintf(test, rng.IntN(256), rng.IntN(256))
			} else {
				text += fmt.Sprintf(test, 1+rng.IntN(65535))
			}
		}
		all = append(all, Filter{Name: fmt.Sprint("f", i), Layer: OutboundIPPacket, When: when(t, text), Action: ActionBlock})
	}
	return all
}

func benchmarkClassify(b *testing.B, filters []Filter) {
	sim := simdrv.New(simdrv.Config{})
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		b.Fatal(err)
	}
	defer sim.Close()
	defer h.Close()
	pol, err := NewPolicy(nil, filters)
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(Config{Handles: []*divertdrv.Handle{h}, Policy: pol})
	if err != nil {
		b.Fatal(err)
	}
	w := p.workers[0]
	w.adopt()
	rng := rand.New(rand.NewPCG(3, 3))
	var packets []*divertdrv.Packet
	for range 256 {
		a := rng.Uint32()
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 443)
		pkt := must(craft.TCP(here, dst, craft.Segment{Flags: 16}, make([]byte, 20)))
		var ad divertdrv.Address
		ad.SetLayer(divertdrv.Network, addr.EventPacket)
		ad.SetOutbound(true)
		packets = append(packets, divertdrv.NewPacket(ad, pkt))
	}
	passed := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		pkt := packets[i%len(packets)]
		pkt.SetDirty() // headers are decoded each time
		if w.judge(inNoBatch, pkt, int64(i)).pass {
			passed++
		}
	}
}
