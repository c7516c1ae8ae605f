package lower_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/internal/nettest"
)

// What a packet costs in the kernel, beside a program that does nothing. The whole set is one run:
//
//	go test ./divertdrv/filter/lower -run XXX -bench Kernel
func BenchmarkKernel(b *testing.B) {
	nettest.Need(b, nettest.Root)
	tcp := make([]byte, 100)
	tcp[0], tcp[3], tcp[9], tcp[23], tcp[32] = 0x45, 100, 6, 80, 5<<4
	var ports, mixed []string
	for i := range 200 {
		ports = append(ports, fmt.Sprintf("tcp.DstPort == %d", 1000+3*i))
		mixed = append(mixed, fmt.Sprintf("%s == %d", []string{"tcp.DstPort", "tcp.SrcPort"}[i%2], 1000+3*i))
	}
	nothing := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	lowered := func(src string) asm.Instructions { return mustLower(b, src, lower.Output).Program(lower.Code{}) }
	for _, bench := range []struct {
		name string
		ins  asm.Instructions
	}{
		{"nothing", nothing},
		{"ip.DstAddr == 10.0.0.1", lowered("ip.DstAddr == 10.0.0.1")},
		{"tcp.DstPort == 443", lowered("tcp.DstPort == 443")},
		{"200 ports", lowered(strings.Join(ports, " or "))},
		{"200 tests of two fields", lowered(strings.Join(mixed, " or "))},
		{"tcp.Payload32[-4] == 1", lowered("tcp.Payload32[-4] == 1")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			prog := load(b, bench.ins)
			_, each, err := prog.Benchmark(append(make([]byte, 14), tcp...), b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(each.Nanoseconds()), "ns/packet")
		})
	}
}
