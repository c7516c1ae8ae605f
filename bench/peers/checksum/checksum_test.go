// Package checksum measures Weir's Internet checksum beside those of gvisor and of Tailscale's WireGuard, which is AVX2 assembly.
// It is a module of its own, so that nobody who uses Weir gets their dependencies.
package checksum

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/tailscale/wireguard-go/tun"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/checksum"

	"github.com/weirnet/weir/divertdrv/wire"
)

var peers = []struct {
	name string
	sum  func(b []byte) uint16
}{
	{"weir", func(b []byte) uint16 { return wire.Fold(wire.Sum(b, 0)) }},
	{"gvisor", func(b []byte) uint16 { return gvisor.Checksum(b, 0) }},
	{"tailscale", func(b []byte) uint16 { return tun.Checksum(b, 0) }},
}

// They agree before anything is measured.
func TestPeersAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 70_000)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for i := range 3000 {
		piece := b[r.IntN(64):][:min(i, 2000)+r.IntN(60_000)*(i/2999)]
		want := peers[0].sum(piece)
		for _, p := range peers[1:] {
			if got := p.sum(piece); got != want {
				t.Fatalf("%d bytes: %s has %#04x, Weir %#04x", len(piece), p.name, got, want)
			}
		}
	}
}

var sink uint16

// BenchmarkSum is for ratios within one run, with and without GOEXPERIMENT=simd.
func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 60, 128, 256, 576, 1500, 9000, 65_000} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 31)
		}
		for _, p := range peers {
			b.Run(strconv.Itoa(n)+"/"+p.name, func(b *testing.B) {
				b.SetBytes(int64(n))
				for b.Loop() {
					sink = p.sum(data)
				}
			})
		}
	}
}
