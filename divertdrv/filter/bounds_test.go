package filter

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestBounds(t *testing.T) {
	const tcp4, udp4, tcp6, udp6 = 0x401, 0x402, 0x601, 0x602
	one := func(k uint64) []Range { return []Range{{k, k}} }
	for text, want := range map[string][Dimensions][]Range{
		"true": {},
		"tcp.DstPort == 80": {
			ByKind: {{tcp4, tcp4}, {tcp6, tcp6}}, ByDstPort: one(80),
		},
		"tcp.DstPort == 80 or tcp.DstPort == 443 or udp.DstPort == 53": {
			ByKind: {{tcp4, udp4}, {tcp6, udp6}}, ByDstPort: {{53, 53}, {80, 80}, {443, 443}},
		},
		"ip.DstAddr >= 10.0.0.0 and ip.DstAddr <= 10.255.255.255": {
			ByKind: {{0x400, 0x403}}, ByDstAddr: {{0x0a000000, 0x0affffff}},
		},
		"ipv6.SrcAddr == 2001:db8::1 or ip.SrcAddr == 1.2.3.4": {
			BySrcAddr: {{0x01020304, 0x01020304}, {0x20010db800000000, 0x20010db800000000}},
		},
		"icmp or tcp.SrcPort < 1024": {
			ByKind: {{tcp4, tcp4}, {0x403, 0x403}, {tcp6, tcp6}}, BySrcPort: {{0, 1023}, {NoKey, NoKey}},
		},
		"tcp.DstPort != 80": {
			ByKind: {{tcp4, tcp4}, {tcp6, tcp6}}, ByDstPort: {{0, 79}, {81, 65535}},
		},
		"false": {{}, {}, {}, {}, {}},
	} {
		p, err := Parse(text, addr.Network)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Bounds(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", text, got, want)
		}
	}
}

// A packet that a program matches has its keys within the program's bounds, whatever the program.
func TestBoundsAreSound(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	d := dice(rand.New(rand.NewPCG(seed, 3)).IntN)
	matched, bounded := 0, 0
	for range 20_000 {
		a := d.event(addr.Network)
		a.SetLayer(addr.Network, addr.EventPacket) // what a driver gives
		packets := make([][]byte, 10)
		for i := range packets {
			packets[i] = d.packet()
		}
		_, src := d.filters(addr.Network, &a, packets[0]).expr(2)
		p, err := Parse(src, addr.Network)
		if err != nil {
			continue // the driver refuses some
		}
		b := p.Bounds()
		for _, pkt := range packets {
			var h wire.Headers
			wire.Parse(pkt, &h)
			if !p.Match(&a, pkt, &h) {
				continue
			}
			matched++
			for d, key := range KeysOf(pkt, &h) {
				if b[d] == nil {
					continue
				}
				bounded++
				if !within(b[d], key) {
					t.Fatalf("%s matches %x, whose key %d is %#x, outside %v", p, pkt, d, key, b[d])
				}
			}
		}
	}
	if matched < 1000 || bounded < 1000 {
		t.Errorf("only %d matches, %d of bounded keys", matched, bounded)
	}
}

func within(all []Range, key uint64) bool {
	for _, r := range all {
		if r.Lo <= key && key <= r.Hi {
			return true
		}
	}
	return false
}
