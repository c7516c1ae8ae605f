package checksum

import (
	"math/rand/v2"
	"testing"
)

// They agree before anything is measured.
func TestPeersAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 70_000)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for i := range 3000 {
		piece := b[r.IntN(64):][:min(i, 2000)+r.IntN(60_000)*(i/2999)]
		want := Peers[0].Sum(piece)
		for _, p := range Peers[1:] {
			if got := p.Sum(piece); got != want {
				t.Fatalf("%d bytes: %s has %#04x, Weir %#04x", len(piece), p.Name, got, want)
			}
		}
	}
}
