package wire_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Forty bytes, five words, no padding: two keys to a little more than a cache line, hashed by a Go map in one go.
const _ = uint(unsafe.Sizeof(wire.FlowKey{})-40) + uint(40-unsafe.Sizeof(wire.FlowKey{}))

func TestFlowIsOneForBothDirections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shapes().Draw(t, "shape")
		if s.transport == wire.ICMP || s.transport == wire.ICMPv6 {
			s.sport = 0x8000 * uint16(rapid.IntRange(0, 1).Draw(t, "echo")) // the type, in IPv6
		}
		if rapid.Bool().Draw(t, "same host") {
			s.src = s.dst
		}
		back := s
		back.src, back.dst = s.dst, s.src
		if s.transport == wire.TCP || s.transport == wire.UDP {
			back.sport, back.dport = s.dport, s.sport
		}
		b, r := s.build(), back.build()
		h := parse(t, b)
		k, high, ok := h.Flow(b)
		k2, high2, ok2 := parse(t, r).Flow(r)
		if !ok || !ok2 || k != k2 || k.Hash(7) != k2.Hash(7) {
			t.Fatalf("%+v and %+v", k, k2)
		}
		src, dst, _ := h.Endpoints(b)
		if low, up := k.Low(), k.High(); high && (low != dst || up != src) || !high && (low != src || up != dst) || high && high2 {
			t.Fatalf("%+v %v of %+v and %+v", k, high, src, dst)
		}
		if src != dst && high == high2 {
			t.Fatalf("%+v: both directions have source high %v", k, high)
		}
		if k.Proto() != h.Proto || k.Version() != h.Version {
			t.Fatalf("%+v of %+v", k, h)
		}
		var same wire.FlowKey
		if high, ok := parse(t, r).ReadFlow(r, &same); same != k || high != high2 || !ok {
			t.Fatalf("%+v and %+v", k, same)
		}
	})
}

// Is says what == does, whatever part of a key differs.
func TestFlowKeyIs(t *testing.T) {
	src, dst := wire.Endpoint{Hi: 1, Lo: 2, Port: 3}, wire.Endpoint{Hi: 4, Lo: 5, Port: 6}
	key := func(src, dst wire.Endpoint, proto, version uint8) (k wire.FlowKey) {
		k.Set(src, dst, proto, version)
		return k
	}
	keys := []wire.FlowKey{
		{},
		key(src, dst, 6, 6), key(src, dst, 17, 6), key(src, dst, 6, 4),
		key(wire.Endpoint{Hi: 9, Lo: 2, Port: 3}, dst, 6, 6), key(wire.Endpoint{Hi: 1, Lo: 9, Port: 3}, dst, 6, 6),
		key(wire.Endpoint{Hi: 1, Lo: 2, Port: 9}, dst, 6, 6), key(src, wire.Endpoint{Hi: 9, Lo: 5, Port: 6}, 6, 6),
		key(src, wire.Endpoint{Hi: 4, Lo: 9, Port: 6}, 6, 6), key(src, wire.Endpoint{Hi: 4, Lo: 5, Port: 9}, 6, 6),
	}
	for i := range keys {
		for j := range keys {
			if other := keys[j]; keys[i].Is(&other) != (i == j) || (keys[i] == keys[j]) != (i == j) {
				t.Errorf("%+v and %+v: %v", keys[i], keys[j], keys[i].Is(&other))
			}
		}
	}
}

func TestEndpointsLikeGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := packets().Draw(t, "packet")
		h := parse(t, b)
		src, dst, ok := h.Endpoints(b)
		first := layers.LayerTypeIPv4
		if h.Version == 6 {
			first = layers.LayerTypeIPv6
		}
		flow := gopacket.NewPacket(b, first, gopacket.Default).NetworkLayer().NetworkFlow()
		if !ok || src.Addr().String() != flow.Src().String() || dst.Addr().String() != flow.Dst().String() {
			if !src.Addr().Is4() || h.Version == 4 { // ::ffff:1.2.3.4 in IPv6 reads as IPv4
				t.Fatalf("%v %v, want %v", src.Addr(), dst.Addr(), flow)
			}
		}
		if d := decode(b); d.tcp != nil && (src.Port != uint16(d.tcp.SrcPort) || dst.Port != uint16(d.tcp.DstPort)) {
			t.Fatalf("ports %d %d, want %v", src.Port, dst.Port, d.tcp)
		}
		if from := wire.EndpointFrom(netip.AddrPortFrom(src.Addr(), src.Port)); from != src {
			t.Fatalf("%v there and back is %v", src, from)
		}
	})
}

func TestFlowPorts(t *testing.T) {
	udp, echo, echo6 := sized(false, wire.UDP, 60), sized(false, wire.ICMP, 60), sized(true, wire.ICMPv6, 80)
	later := clone(udp)
	later[7] = 1
	echo[20], echo6[40] = wire.ICMPEcho, wire.ICMPv6EchoReply
	unreachable := clone(echo)
	unreachable[20] = wire.ICMPUnreachable
	for _, c := range []struct {
		name     string
		b        []byte
		src, dst uint16
	}{
		{"udp", udp, 40000, 443},
		{"later fragment", later, 0, 0},
		{"echo", echo, 443, 443},
		{"echo reply, IPv6", echo6, 443, 443},
		{"unreachable", unreachable, 0, 0},
	} {
		src, dst, ok := parse(t, c.b).Endpoints(c.b)
		if !ok || src.Port != c.src || dst.Port != c.dst {
			t.Errorf("%s: %d %d %v, want %d %d", c.name, src.Port, dst.Port, ok, c.src, c.dst)
		}
	}
	var h wire.Headers
	if k, _, ok := h.Flow(nil); ok || k != (wire.FlowKey{}) {
		t.Error("no packet has a flow")
	}
}

func flowKey(src, dst wire.Endpoint, version uint8) (k wire.FlowKey) {
	k.Set(src, dst, wire.ProtoTCP, version)
	return k
}

// families of keys whose members differ in little.
func families() map[string]func(i int) wire.FlowKey {
	v4 := func(addr uint32, port uint16) wire.Endpoint {
		return wire.Endpoint{Lo: 0xffff<<32 | uint64(addr), Port: port}
	}
	v6 := func(hi, lo int) wire.Endpoint {
		return wire.Endpoint{Hi: 0xfd<<56 | uint64(hi), Lo: uint64(lo), Port: 40000}
	}
	server, server6 := v4(0xc0000209, 443), wire.Endpoint{Hi: 0x20010db8 << 32, Lo: 1, Port: 443}
	return map[string]func(i int) wire.FlowKey{
		"source ports":  func(i int) wire.FlowKey { return flowKey(v4(0x0a000001, uint16(i)), server, 4) },
		"hosts":         func(i int) wire.FlowKey { return flowKey(v4(0x0a000000+uint32(i), 40000), server, 4) },
		"networks":      func(i int) wire.FlowKey { return flowKey(v4(uint32(i)<<16, 40000), server, 4) },
		"hosts, IPv6":   func(i int) wire.FlowKey { return flowKey(v6(0, i), server6, 6) },
		"subnets, IPv6": func(i int) wire.FlowKey { return flowKey(v6(i, 1), server6, 6) },
		"to themselves": func(i int) wire.FlowKey { return flowKey(v4(uint32(i), 0), v4(uint32(i), 0), 4) },
		"pairs":         func(i int) wire.FlowKey { return flowKey(v4(uint32(i&255), 9), v4(0x10000+uint32(i>>8), 9), 4) },
	}
}

// The hash spreads each family evenly over 256 buckets by its low and by its high bits: chi squared has the mean 255 and the
// deviation 22.6, of which 6 are let pass. The seeds are fixed, so the test does not depend on luck.
func TestHashSpread(t *testing.T) {
	const n = 1 << 15
	chi := func(buckets *[256]int) (sum float64) {
		for _, c := range buckets {
			d := float64(c) - n/256
			sum += d * d / (n / 256)
		}
		return sum
	}
	for name, key := range families() {
		for _, seed := range []uint64{0, 1, 0x5bd1e995a3b4c2d7} {
			var low, high [256]int
			seen := make(map[uint64]bool, n)
			for i := range n {
				x := key(i).Hash(seed)
				low[x&255]++
				high[x>>56]++
				seen[x] = true
			}
			if l, h := chi(&low), chi(&high); max(l, h) > 255+6*22.6 {
				t.Errorf("%s, seed %#x: chi squared %.0f by low bits, %.0f by high bits", name, seed, l, h)
			}
			if len(seen) < n {
				t.Errorf("%s, seed %#x: %d of %d hashes are equal", name, seed, n-len(seen), n)
			}
		}
	}
}

// Each bit of an endpoint and of the seed turns each bit of the hash about every second time.
func TestHashAvalanche(t *testing.T) {
	const rounds, deviation = 2000, 22.4 // the root of rounds/4
	r := rand.New(rand.NewPCG(3, 4))
	for in, bit := range allBits() {
		var turned [64]int
		for range rounds {
			a := wire.Endpoint{Hi: r.Uint64() >> 2, Lo: r.Uint64(), Port: uint16(r.Uint32())}
			b := wire.Endpoint{Hi: r.Uint64() | 3<<62, Lo: r.Uint64(), Port: uint16(r.Uint32())} // above a, whatever bit is turned
			seed := r.Uint64()
			base := flowKey(a, b, 4).Hash(seed)
			bit(&a, &b, &seed)
			for d := base ^ flowKey(a, b, 4).Hash(seed); d != 0; d &= d - 1 {
				turned[bits.TrailingZeros64(d)]++
			}
		}
		for out, n := range turned {
			if math.Abs(float64(n)-rounds/2) > 7*deviation {
				t.Errorf("input bit %d turned output bit %d %d times in %d", in, out, n, rounds)
			}
		}
	}
}

// allBits are functions that turn one bit each.
func allBits() (all []func(a, b *wire.Endpoint, seed *uint64)) {
	for i := range 64 {
		all = append(all,
			func(a, _ *wire.Endpoint, _ *uint64) { a.Hi ^= 1 << (i % 63) },
			func(a, _ *wire.Endpoint, _ *uint64) { a.Lo ^= 1 << i },
			func(_, b *wire.Endpoint, _ *uint64) { b.Hi ^= 1 << (i % 63) },
			func(_, b *wire.Endpoint, _ *uint64) { b.Lo ^= 1 << i },
			func(a, b *wire.Endpoint, _ *uint64) { a.Port ^= 1 << (i % 16); b.Port ^= uint16(i/16) << 3 },
			func(_, _ *wire.Endpoint, seed *uint64) { *seed ^= 1 << i })
	}
	return all
}

// No half of an address hides the other one: whatever it is, the other half counts, with every seed.
func TestHashHasNoBlindWord(t *testing.T) {
	for _, word := range []uint64{0, 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0xe7037ed1a0b428db} {
		for _, seed := range []uint64{0xdead0001beef0002, 0x0123456789abcdef} {
			seen := map[uint64]bool{}
			for i := range uint64(8) {
				seen[flowKey(wire.Endpoint{Hi: i, Lo: word}, wire.Endpoint{Hi: 1 << 63}, 6).Hash(seed)] = true
				seen[flowKey(wire.Endpoint{Hi: word, Lo: i + 9}, wire.Endpoint{Hi: ^uint64(0)}, 6).Hash(seed)] = true
				seen[flowKey(wire.Endpoint{}, wire.Endpoint{Hi: i + 1, Lo: word}, 6).Hash(seed)] = true
				seen[flowKey(wire.Endpoint{}, wire.Endpoint{Hi: word, Lo: i + 9}, 6).Hash(seed)] = true
			}
			if len(seen) != 32 {
				t.Errorf("word %#x, seed %#x: %d of 32 hashes are equal", word, seed, 32-len(seen))
			}
		}
	}
}

func BenchmarkFlow(b *testing.B) {
	var pkts [64][]byte
	var hs [64]wire.Headers
	r := rand.New(rand.NewPCG(5, 6))
	for i := range pkts { // in a random order of directions, as they come
		pkts[i] = sized(i&1 == 0, wire.TCP, 80)
		pkts[i][15], pkts[i][19] = byte(r.Uint32()), byte(r.Uint32())
		wire.Parse(pkts[i], &hs[i])
	}
	b.Run("read", func(b *testing.B) {
		var k wire.FlowKey
		for i := 0; b.Loop(); i++ {
			sinkBool, _ = hs[i&63].ReadFlow(pkts[i&63], &k)
		}
	})
	b.Run("read and hash", func(b *testing.B) {
		var k wire.FlowKey
		for i := 0; b.Loop(); i++ {
			hs[i&63].ReadFlow(pkts[i&63], &k)
			sink64 = k.Hash(77)
		}
	})
	b.Run("by value", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			k, _, _ := hs[i&63].Flow(pkts[i&63])
			sink64 = k.Low().Lo
		}
	})
}
