// Package checksum measures Weir's Internet checksum beside those of gvisor and of Tailscale's WireGuard, which is assembly for AVX2.
// Command table prints the table of docs/performance.md.
package checksum

import (
	"github.com/tailscale/wireguard-go/tun"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/checksum"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Peer is one way to sum the 16-bit words of b, folded.
type Peer struct {
	Name string
	Sum  func(b []byte) uint16
}

// Peers are what is compared. Weir, the first, is what the others are measured against.
var Peers = []Peer{
	{"Weir", func(b []byte) uint16 { return wire.Fold(wire.Sum(b, 0)) }},
	{"gvisor", func(b []byte) uint16 { return gvisor.Checksum(b, 0) }},
	{"tailscale", func(b []byte) uint16 { return tun.Checksum(b, 0) }},
}
