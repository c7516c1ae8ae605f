package processor

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// flowPacket is a bare packet of flow n, in one direction or the other. Flows differ in their hosts.
func flowPacket(n uint32, back bool, proto uint8, flags wire.TCPFlags) ([]byte, *wire.Headers) {
	b := make([]byte, 40)
	b[0], b[3], b[8], b[9] = 0x45, 40, 64, proto
	a, z := b[12:16], b[16:20]
	if back {
		a, z = z, a
	}
	binary.BigEndian.PutUint32(a, 0x0a000000|n)
	binary.BigEndian.PutUint32(z, 0xc0000201)
	b[32], b[33] = 5<<4, byte(flags)
	return b, headersOf(b)
}

// The table remembers what a map would, as long as there is room: which packets open a flow, and when a silent one is over.
func TestFlowTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newFlowTable(64, newOrder(1, 1), Timeouts{}, new(atomic.Uint64))
		last := map[uint32]int64{}
		now := int64(0)
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			now += rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")
			if rapid.IntRange(0, 9).Draw(t, "sweep") == 0 {
				table.sweep(now, rapid.IntRange(1, 100).Draw(t, "entries"))
			}
			n := rapid.Uint32Range(0, 40).Draw(t, "flow")
			b, h := flowPacket(n, rapid.Bool().Draw(t, "back"), wire.ProtoUDP, 0)
			f, fresh, srcHigh := table.find(b, h, now)
			before, known := last[n]
			if want := !known || now-before > int64(time.Minute); fresh != want {
				t.Fatalf("flow %d at %d, last seen %d (%v): fresh %v", n, now, before, known, fresh)
			}
			if k, high, _ := h.Flow(b); f.key != k || high != srcHigh {
				t.Fatalf("flow %d has the key %v", n, f.key)
			}
			f.begin(h, b, true, srcHigh)
			last[n] = now
		}
		checkIndex(t, table)
	})
}

// checkIndex: every live entry is found, and the index holds nothing else.
func checkIndex(t interface{ Fatalf(string, ...any) }, table *flowTable) {
	live := 0
	for i := range table.slab[:table.used] {
		f := &table.slab[i]
		if f.key == (wire.FlowKey{}) {
			continue
		}
		live++
		if table.lookup(&f.key, f.key.Hash(table.order.seed)) != f {
			t.Fatalf("entry %d is not found", i)
		}
	}
	full := 0
	for _, s := range table.slots {
		if s != 0 {
			full++
		}
	}
	if full != live || int64(live) != table.live.Load() {
		t.Fatalf("%d slots for %d flows, counted %d", full, live, table.live.Load())
	}
}

// However many flows come, the table is bounded, and its index stays whole while entries go and come.
func TestFlowTableUnderPressure(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	table := newFlowTable(100, newOrder(1, 1), Timeouts{}, new(atomic.Uint64))
	opened := uint64(0)
	for i := range 20_000 {
		b, h := flowPacket(rng.Uint32N(1000), false, wire.ProtoUDP, 0)
		if _, fresh, _ := table.find(b, h, int64(i)); fresh {
			opened++
		}
		if i%1000 == 0 {
			checkIndex(t, table)
		}
	}
	checkIndex(t, table)
	if table.live.Load() != 100 || table.opened.Load() != opened || table.evicted.Load() != opened-100 {
		t.Errorf("live %d, opened %d (%d), evicted %d", table.live.Load(), table.opened.Load(), opened, table.evicted.Load())
	}
}

// Any packets of TCP, in any order, leave a flow in a state that makes sense, and it is authorised and established once.
func TestTCPStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newFlowTable(4, newOrder(1, 1), Timeouts{}, new(atomic.Uint64))
		auths, established, ended := 0, 0, 0
		for range rapid.IntRange(1, 40).Draw(t, "packets") {
			back := rapid.Bool().Draw(t, "back")
			flags := rapid.SampledFrom([]wire.TCPFlags{wire.SYN, wire.SYN | wire.ACK, wire.ACK, wire.ACK | wire.FIN, wire.RST, wire.RST | wire.ACK, 0}).Draw(t, "flags")
			b, h := flowPacket(1, back, wire.ProtoTCP, flags)
			f, fresh, srcHigh := table.find(b, h, 0)
			if fresh {
				auths, established, ended = 0, 0, 0
			}
			s := f.advance(b, h, fresh, !back, srcHigh)
			auths += b2i(s.has(stepAuth))
			established += b2i(s.has(stepEstablished))
			ended += b2i(s.has(stepEnds))
			switch {
			case auths > 1, established > 1, ended > 1, established > auths:
				t.Fatalf("authorised %d times, established %d, ended %d", auths, established, ended)
			case s.has(stepAuth) && (f.Midstream() || flags != wire.SYN):
				t.Fatalf("flags %#x open a flow, midstream %v", flags, f.Midstream())
			case established == 1 && f.state != flowOpen && f.state != flowClosed, ended == 1 && f.state != flowClosed:
				t.Fatalf("established %d, ended %d, state %d", established, ended, f.state)
			case s.has(stepNoListener) && flags&wire.RST == 0:
				t.Fatal("that nobody listens is told by a RST only")
			}
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFindAllocatesNothing(t *testing.T) {
	table := newFlowTable(64, newOrder(1, 1), Timeouts{}, new(atomic.Uint64))
	n := uint32(0)
	if allocs := testing.AllocsPerRun(1000, func() {
		n++
		b, h := packets[n%uint32(len(packets))].b, packets[n%uint32(len(packets))].h
		table.find(b, h, int64(n))
		table.sweep(int64(n), 2)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

type parsedPacket struct {
	b []byte
	h *wire.Headers
}

var packets = func() (all []parsedPacket) {
	for n := range uint32(4096) {
		b, h := flowPacket(n, n%2 == 0, wire.ProtoUDP, 0)
		all = append(all, parsedPacket{b, h})
	}
	return all
}()

// BenchmarkFlowLookup is a lookup among so many flows, in random order, beside a Go map with the same key. Both start from the
// packet's parsed headers; run it with -bench FlowLookup and compare the pairs.
func BenchmarkFlowLookup(b *testing.B) {
	for _, flows := range []int{1e3, 1e5, 1e6} {
		keys := make([]wire.FlowKey, flows)
		for n := range keys {
			p, h := flowPacket(uint32(n), false, wire.ProtoUDP, 0)
			keys[n], _, _ = h.Flow(p)
		}
		order := rand.New(rand.NewPCG(1, 2)).Perm(flows)
		b.Run(fmt.Sprintf("flows=%d/table", flows), func(b *testing.B) {
			table := newFlowTable(flows, newOrder(1, 1), Timeouts{}, new(atomic.Uint64))
			for i := range keys {
				table.claim(&keys[i], keys[i].Hash(table.order.seed))
			}
			i, found := 0, 0
			for b.Loop() {
				k := &keys[order[i]]
				if f := table.lookup(k, k.Hash(table.order.seed)); f != nil {
					found += int(f.state)
				}
				if i++; i == flows {
					i = 0
				}
			}
		})
		b.Run(fmt.Sprintf("flows=%d/table, in batches of 64", flows), func(b *testing.B) {
			table := newFlowTable(flows, newOrder(1, 1), Timeouts{}, new(atomic.Uint64))
			for i := range keys {
				table.claim(&keys[i], keys[i].Hash(table.order.seed))
			}
			var hashes [64]uint64
			at, found := 0, 0
			b.ResetTimer()
			for n := 0; n < b.N; n += len(hashes) {
				for i := range hashes {
					hashes[i] = keys[order[(at+i)%flows]].Hash(table.order.seed)
				}
				table.touchHashes(hashes[:])
				for i := range hashes {
					if f := table.lookup(&keys[order[(at+i)%flows]], hashes[i]); f != nil {
						found += int(f.state)
					}
				}
				at = (at + len(hashes)) % flows
			}
		})
		b.Run(fmt.Sprintf("flows=%d/map", flows), func(b *testing.B) {
			m := make(map[wire.FlowKey]*Flow, flows)
			slab := make([]Flow, flows)
			for i := range keys {
				m[keys[i]] = &slab[i]
			}
			i, found := 0, 0
			for b.Loop() {
				if f := m[keys[order[i]]]; f != nil {
					found += int(f.state)
				}
				if i++; i == flows {
					i = 0
				}
			}
		})
	}
}
