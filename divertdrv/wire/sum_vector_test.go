//go:build goexperiment.simd && amd64

package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Of each way to sum: the vectors that it needs. Those that this processor lacks are left out.
var ways = func() (had []way) {
	for _, w := range []way{{"words", false, false}, {"256 bits", true, false}, {"512 bits", true, true}} {
		if (vectors || !w.narrow) && (wideVectors || !w.wide) {
			had = append(had, w)
		}
	}
	return had
}()

type way struct {
	name         string
	narrow, wide bool
}

// byBytes is the one's complement sum in network order, byte after byte.
func byBytes(b []byte) uint16 {
	var sum uint32
	for i, x := range b {
		if i%2 == 0 {
			sum += uint32(x) << 8
		} else {
			sum += uint32(x)
		}
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

func checkWays(t *testing.T, b []byte, cut int) {
	t.Helper()
	want := byBytes(b)
	defer func(n, w bool) { vectors, wideVectors = n, w }(vectors, wideVectors)
	for _, way := range ways {
		vectors, wideVectors = way.narrow, way.wide
		if got := Fold(Sum(b, 0)); got != want {
			t.Fatalf("%s, %d bytes: got %#04x, want %#04x", way.name, len(b), got, want)
		}
		if got := Fold(Sum(b[cut:], Sum(b[:cut], 0))); got != want {
			t.Fatalf("%s, %d bytes in pieces, cut at %d: got %#04x, want %#04x", way.name, len(b), cut, got, want)
		}
	}
}

// Every length to where the blocks repeat, from every alignment, at the end of its memory, where reading on would be seen by
// the bytes behind it.
func TestSumWays(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	random, ones := make([]byte, 700), bytes.Repeat([]byte{0xff}, 700)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for n := range 601 {
		for start := range 67 {
			checkWays(t, random[start:][:n:n], n/4*2)
		}
		checkWays(t, ones[1:][:n:n], n/4*2)
		checkWays(t, random[len(random)-n:], 0)
	}
	checkWays(t, bytes.Repeat([]byte{0xff}, 300_001), 200_000)
	checkWays(t, make([]byte, 65_535), 0)
	if len(ways) < 3 {
		t.Logf("this processor has only %v", ways)
	}
}

func FuzzSumWays(f *testing.F) {
	f.Add([]byte{0xff, 0xff, 0xff}, uint16(300), 0)
	f.Add([]byte{0, 0}, uint16(64), 1)
	f.Fuzz(func(t *testing.T, b []byte, times uint16, cut int) {
		if len(b) == 0 || len(b)*int(times) > 1<<13 {
			return
		}
		b = bytes.Repeat(b, int(times))
		checkWays(t, b, max(0, min(cut, len(b)))&^1)
	})
}
