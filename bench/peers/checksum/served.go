// Package checksum measures Weir's Internet checksum beside those of gvisor and of Tailscale's WireGuard, which is AVX2 assembly.
// It is a module of its own, so that nobody who uses Weir gets their dependencies.
package checksum

import (
	"context"
	"fmt"

	"github.com/tailscale/wireguard-go/tun"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/checksum"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// Served are the peers of scenario checksum.
func Served() []bench.Served {
	return []bench.Served{
		{Scenario: "checksum", Variant: bench.Variant{Name: "gvisor", About: "pkg/tcpip/checksum, Go", Start: start(gvisorSum)}},
		{Scenario: "checksum", Variant: bench.Variant{Name: "tailscale", About: "wireguard-go/tun, AVX2 assembly where there is", Start: start(tailscaleSum)}},
	}
}

func gvisorSum(b []byte, n int) (sum uint16) {
	for range n {
		sum = gvisor.Checksum(b, 0)
	}
	return sum
}

func tailscaleSum(b []byte, n int) (sum uint16) {
	for range n {
		sum = tun.Checksum(b, 0)
	}
	return sum
}

func start(sum func(b []byte, n int) uint16) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		data, err := workload.SumData(env.Params.Get("size"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		return bench.Trial{
			Digest: fmt.Sprintf("%04x", sum(data, 1)),
			Run: bench.Loop(bench.Work{Packets: 1, Bytes: float64(len(data)), Do: func(n int) error {
				sum(data, n)
				return nil
			}}),
		}, nil
	}
}
