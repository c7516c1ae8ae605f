package filter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"pgregory.net/rapid"
)

// Each filter meets packetsEach packets, so many that a batch takes two rounds; pairs is how many (filter, packet) pairs a run of
// the tests compares in each mode, longPairs with WEIR_LONG set, racePairs under the race detector, to which they are all alike.
const (
	packetsEach = 80
	pairs       = 1_000_000
	longPairs   = 10_000_000
	racePairs   = 100_000
)

// views returns packets or events of a layer.
func (d dice) views(layer addr.Layer) []View {
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
	return views
}

// batchHits asks MatchBatch, in pieces of several lengths, with the headers of some packets left out.
func batchHits(p *Program, views []View) []bool {
	hits := make([]bool, len(views))
	p.MatchBatch(views, hits)
	short := slices.Clone(views)
	for i := range short {
		if i%3 == 1 {
			short[i].Headers = nil
		}
	}
	again := make([]bool, len(views))
	for at, n := 0, 1; at < len(views); at, n = at+n, n+5 {
		n = min(n, len(views)-at)
		p.MatchBatch(short[at:at+n], again[at:])
	}
	for i := range hits {
		if again[i] != hits[i] {
			panic(fmt.Sprintf("%s: packet %d is %t in one batch and %t in another", p, i, hits[i], again[i]))
		}
	}
	return hits
}

// plainMatch walks the tests as they are, without the optimiser.
func plainMatch(p *Program, v *View) bool {
	s := subject{p.layer, p.compat22, v.Addr, v.Data, v.Headers}
	if s.h != nil && s.h.Version == 0 {
		return false
	}
	at := uint16(0)
	for at < accept {
		t := &p.tests[at]
		c := t.comparison
		c.truncate()
		value, none := s.value(&c)
		if at = t.fail; none == "" && c.op.holds(value.cmp(c.value)) {
			at = t.succ
		}
	}
	return at == accept
}

// compareOnce makes a filter and compares engine and reference in both modes over some packets.
func compareOnce(t interface {
	Helper()
	Fatalf(string, ...any)
}, d dice,
) (refused bool) {
	t.Helper()
	layer := addr.Layer(d(addr.Layers))
	views := d.views(layer)
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
		hits := batchHits(p, views)
		for i, v := range views {
			want := refMatch(e, layer, v.Addr.Bytes(), v.Data, mode.faults)
			if hits[i] != want || p.Match(v.Addr, v.Data, nil) != want || p.Match(v.Addr, v.Data, v.Headers) != want || plainMatch(p, &v) != want {
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
	switch {
	case raceEnabled:
		n = racePairs
	case os.Getenv("WEIR_LONG") != "":
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

// TestOptimisedEqualsPlain has programs that no text gives: tests of few fields, joined by any edges that lead forward.
func TestOptimisedEqualsPlain(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	d := dice(rng.IntN)
	n := 5_000
	switch {
	case raceEnabled:
		n /= 10
	case os.Getenv("WEIR_LONG") != "":
		n *= 20
	}
	for range n {
		layer := addr.Layer(d(addr.Layers))
		views := d.views(layer)
		f := d.filters(layer, views[0].Addr, views[0].Data)
		p := &Program{src: "a random program", layer: layer, compat22: d.chance(50), tests: f.tests(1+d([]int{4, 12, 60}[d(3)]), 1+d(6))}
		p.code = lower(p.tests, layer, p.compat22)
		hits := batchHits(p, views)
		for i, v := range views {
			want := plainMatch(p, &v)
			if hits[i] != want || p.Match(v.Addr, v.Data, v.Headers) != want {
				object, _ := p.Object()
				t.Fatalf("seed %d: %s %s on %x, %x: want %t", seed, layer, object, v.Data, v.Addr.Bytes(), want)
			}
		}
	}
	t.Logf("seed %d: %d programs, %d packets each", seed, n, packetsEach)
}

// tests returns n tests that lead anywhere forward, no further than so many.
func (f *filters) tests(n, far int) []test {
	tests := make([]test, n)
	edge := func(i int) uint16 {
		if to := i + 1 + f.dice(far); to < len(tests) && !f.chance(20) {
			return uint16(to)
		}
		return accept + uint16(f.dice(2))
	}
	for i := range tests {
		if i > 0 && f.few && f.chance(40) {
			tests[i] = test{comparison: tests[f.dice(i)].comparison, succ: edge(i), fail: edge(i)}
			continue
		}
		_, src := f.test()
		one, err := compile(src, f.layer, true)
		if err != nil {
			panic(err)
		}
		tests[i] = test{comparison: one[0].comparison, succ: edge(i), fail: edge(i)}
	}
	return tests
}
