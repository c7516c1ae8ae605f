package filter

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"pgregory.net/rapid"
)

// Each filter meets packetsEach packets; pairs is how many (filter, packet) pairs a run of the tests compares, longPairs with
// WEIR_LONG set.
const (
	packetsEach = 10
	pairs       = 100_000
	longPairs   = 5_000_000
)

// compareOnce makes a filter and compares engine and reference in both modes over some packets.
func compareOnce(t interface {
	Helper()
	Fatalf(string, ...any)
}, d dice,
) (refused bool) {
	t.Helper()
	layer := addr.Layer(d(addr.Layers))
	views := make([]View, packetsEach)
	for i := range views {
		a := d.event(layer)
		views[i].Addr = &a
		if layer <= addr.NetworkForward {
			views[i].Data = d.packet()
			views[i].Headers = new(wire.Headers)
			wire.Parse(views[i].Data, views[i].Headers)
		}
	}
	e, src := d.filters(layer, views[0].Addr, views[0].Data).expr(3)
	for _, mode := range []struct {
		opts   []Option
		faults refFaults
	}{{nil, refFaults{}}, {[]Option{Compat22()}, allFaults}} {
		p, err := Parse(src, layer, mode.opts...)
		if err != nil {
			var fe *Error
			if errors.As(err, &fe) && fe.Code == CodeBadToken && mode.opts == nil && e.any((*refTest).refused) {
				refused = true
				continue
			}
			t.Fatalf("%s %q: %v", layer, src, err)
		}
		hits := make([]bool, len(views))
		p.MatchBatch(views, hits)
		for i, v := range views {
			want := refMatch(e, layer, v.Addr.Bytes(), v.Data, mode.faults)
			if hits[i] != want || p.Match(v.Addr, v.Data, nil) != want {
				t.Fatalf("%s %q, faults %v, on %x, %x: want %t", layer, src, mode.faults, v.Data, v.Addr.Bytes(), want)
			}
			if value, constant := p.Always(); constant && value != want && (layer > 1 || v.Headers.Version != 0) {
				t.Fatalf("%s %q is said to be always %t, but is %t on %x", layer, src, value, want, v.Data)
			}
		}
	}
	return refused
}

func TestEngineEqualsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := map[int]*rapid.Generator[int]{}
		compareOnce(t, func(n int) int {
			if number[n] == nil {
				number[n] = rapid.IntRange(0, n-1)
			}
			return number[n].Draw(t, "d")
		})
	})
}

func TestEngineEqualsReferenceMany(t *testing.T) {
	n := pairs
	if os.Getenv("WEIR_LONG") != "" {
		n = longPairs
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	refused := 0
	for range n / packetsEach {
		if compareOnce(t, rng.IntN) {
			refused++
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("seed %d: %d pairs in both modes; of %d filters the driver refuses %d", seed, n, n/packetsEach, refused)
}
