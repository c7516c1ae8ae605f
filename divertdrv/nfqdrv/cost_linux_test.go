package nfqdrv

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// What a packet costs in the program of the forward hook, beside one that does nothing: a datagram in a frame of a virtual device,
// whose address could be that of an injection.
//
//	go test -run '^$' -bench Program -count 5 ./divertdrv/nfqdrv
func BenchmarkProgram(b *testing.B) {
	nettest.Need(b, nettest.Root)
	ns := nettest.NewNamespace(b)
	d := New(Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", ns.FD())})
	frame := make([]byte, 14+92)
	frame[6], frame[12] = 0x52, 8
	p := frame[14:]
	p[0], p[3], p[8], p[9], p[12], p[16], p[21], p[23], p[25] = 0x45, 92, 64, wire.ProtoUDP, 10, 10, 9, 7, 72
	nothing, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer nothing.Close()
	measure(b, "nothing", nothing, frame, 0)
	for _, c := range []struct {
		name, filter string
		cut          bool
		want         uint32
	}{
		{"no match", "udp.DstPort == 1 or tcp.DstPort == 1", false, 0},
		{"match", "tcp or udp", false, 1},
		{"diverted, countable", "tcp or udp", true, 1},
		{"judged", "tcp or udp", true, 0},
	} {
		conn := openForward(b, d, c.filter, c.cut)
		if c.name == "judged" {
			var h wire.Headers
			wire.Parse(p, &h)
			k, _, _ := h.Flow(p)
			if err := conn.Judge(k, conn.Era()); err != nil {
				b.Fatal(err)
			}
		}
		program, err := conn.load(conn.filters().lowered[0], 0)
		if err != nil {
			b.Fatal(err)
		}
		measure(b, c.name, program, frame, c.want)
		_ = program.Close()
		if err := conn.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func openForward(b *testing.B, d *Driver, text string, cut bool) *conn {
	f, err := filter.Parse(text, addr.NetworkForward)
	if err != nil {
		b.Fatal(err)
	}
	opened, err := d.open(f, addr.NetworkForward, &divertdrv.Options{CutThrough: cut})
	if err != nil {
		b.Fatal(err)
	}
	return opened.(*conn)
}

func measure(b *testing.B, name string, p *ebpf.Program, frame []byte, want uint32) {
	b.Run(name, func(b *testing.B) {
		got, each, err := p.Benchmark(frame, b.N, b.ResetTimer)
		if err != nil || got != want {
			b.Fatalf("answers %d, want %d: %v", got, want, err)
		}
		b.ReportMetric(float64(each.Nanoseconds()), "ns/packet")
	})
}
