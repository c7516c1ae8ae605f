package frag_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// bigUDP is a packet with so many bytes behind the IP header.
func bigUDP(t tb, v6 bool, n int) []byte {
	b := piece{0, n, false, 'A'}.build(v6)
	if v6 {
		b = slices.Concat(b[:40], b[48:])
		b[6] = wire.ProtoUDP
		(*wire.IPv6Header)(b).SetPayloadLength(uint16(n))
	}
	parse(t, b)
	return checksummed(b)
}

// In the steady state nothing allocates: joining, evicting, expiring, condemning and cutting.
func TestNoAllocation(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		b := bigUDP(t, v6, 4000)
		all := fragments(t, b, frag.Limit{MTU: 1500, Sender: true})
		heads := make([]wire.Headers, len(all))
		for i := range all {
			wire.Parse(all[i], &heads[i])
		}
		now := time.Unix(1, 0)
		released := 0
		r := frag.NewReassembler(frag.Config{
			Packets: 64, Bytes: 256 << 10,
			Now:     func() time.Time { return now },
			Release: func(uint64, frag.Outcome) { released++ },
		})
		id := uint16(0)
		round := func() {
			now = now.Add(time.Second)
			for range 200 {
				id++
				for i := range all {
					renumber(all[i], id)
					if id%3 == 0 && i == 1 {
						continue // never complete: it expires or is evicted
					}
					r.Add(all[i], &heads[i], 0, uint64(i))
					if id%5 == 0 && i == 0 {
						all[0][len(all[0])-1]++ // not the same any more: condemned
						r.Add(all[0], &heads[0], 0, 9)
						all[0][len(all[0])-1]--
					}
				}
			}
		}
		round()
		if n := testing.AllocsPerRun(50, round); n != 0 {
			t.Errorf("%v allocations for 200 packets", n)
		}
		if s := r.Stats(); s.Wholes == 0 || s.Outcomes[frag.EvictedPackets] == 0 || s.Outcomes[frag.Overlap] == 0 || released == 0 {
			t.Errorf("not all paths were taken: %+v", s)
		}
		var c frag.Cutter
		h := parse(t, b)
		tcp := tcpPacket(v6, wire.ACK, 0, 4000)
		ht := parse(t, tcp)
		n := 0
		emit := func([]byte) error { n++; return nil }
		if a := testing.AllocsPerRun(100, func() {
			if c.Cut(b, h, frag.Limit{MTU: 1500, Sender: true}, emit) != nil || c.Cut(tcp, ht, frag.Limit{MTU: 1500}, emit) != nil {
				t.Fatal("not cut")
			}
			if frag.Fit(b, h, frag.Limit{MTU: 20}) != frag.TooBig {
				t.Fatal("fits")
			}
		}); a != 0 {
			t.Errorf("%v allocations for cutting", a)
		}
	})
}

func renumber(b []byte, id uint16) {
	if b[0]>>4 == 4 {
		(*wire.IPv4Header)(b).SetID(id)
	} else {
		b[46], b[47] = byte(id>>8), byte(id)
	}
}

// One packet of 4,000 bytes in three fragments.
func BenchmarkReassemble(b *testing.B) {
	for _, v6 := range []bool{false, true} {
		all := fragments(b, bigUDP(b, v6, 4000), frag.Limit{MTU: 1500, Sender: true})
		heads := make([]wire.Headers, len(all))
		for i := range all {
			wire.Parse(all[i], &heads[i])
		}
		b.Run(fmt.Sprintf("v6=%v", v6), func(b *testing.B) {
			r := frag.NewReassembler(frag.Config{})
			b.ReportAllocs()
			b.SetBytes(4000)
			for b.Loop() {
				for i := range all {
					r.Add(all[i], &heads[i], 0, 0)
				}
			}
		})
	}
	all := fragments(b, bigUDP(b, false, 4000), frag.Limit{MTU: 1500})
	ips := make([]layers.IPv4, len(all))
	for i := range all {
		if err := ips[i].DecodeFromBytes(all[i], gopacket.NilDecodeFeedback); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("gopacket", func(b *testing.B) {
		d := ip4defrag.NewIPv4Defragmenter()
		b.ReportAllocs()
		b.SetBytes(4000)
		for b.Loop() {
			for i := range ips {
				if _, err := d.DefragIPv4(&ips[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// The dearest fragment that an attacker can send: one that comes before all that wait, of as many pieces as there may be.
func BenchmarkHostile(b *testing.B) {
	r := frag.NewReassembler(frag.Config{})
	for i := range frag.DefaultPieces - 1 {
		p := piece{64 + 16*i, 8, true, 'A'}.build(false)
		r.Add(p, parse(b, p), 0, 0)
	}
	first := piece{64, 8, true, 'A'}.build(false)
	h := parse(b, first)
	for b.Loop() {
		r.Add(first, h, 0, 0)
	}
}

// 64 KiB cut for an Ethernet.
func BenchmarkCut(b *testing.B) {
	for _, v6 := range []bool{false, true} {
		udp, tcp := bigUDP(b, v6, 64000), tcpPacket(v6, wire.ACK, 0, 64000)
		for _, c := range []struct {
			name string
			b    []byte
		}{{"fragments", udp}, {"segments", tcp}} {
			b.Run(fmt.Sprintf("%s/v6=%v", c.name, v6), func(b *testing.B) {
				var cutter frag.Cutter
				h := parse(b, c.b)
				b.ReportAllocs()
				b.SetBytes(int64(len(c.b)))
				emit := func([]byte) error { return nil }
				for b.Loop() {
					if err := cutter.Cut(c.b, h, frag.Limit{MTU: 1500, Sender: true}, emit); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
