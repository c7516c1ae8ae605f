package inject_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

func BenchmarkInjectAligned(b *testing.B)    { benchmarkInject(b, 0) }
func BenchmarkInjectMisaligned(b *testing.B) { benchmarkInject(b, 2) }

func benchmarkInject(b *testing.B, off int) {
	r := newRig(b)
	r.sim.Close()
	sim := simdrv.New(simdrv.Config{HeaderAlign: 8})
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		b.Fatal(err)
	}
	j, _ := inject.New(h, inject.Config{})
	data := segment(0, 1400, off, wire.ProtoTCP)
	p := divertdrv.NewPacket(final(), data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		p.Data = data
		data[24]++ // other segments, or it would be a loop
		if data[24] == 0 {
			data[25]++
		}
		if err := j.Inject(nil, inject.Injection{Packet: p}); err != nil {
			b.Fatal(err)
		}
	}
	_ = h.Close()
	sim.Close()
}
