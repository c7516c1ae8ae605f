package pcapdrv_test

import (
	"io"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// BenchmarkNext reads frames of 1442, 42 and 50 bytes from memory.
func BenchmarkNext(b *testing.B) {
	for _, pcapng := range []bool{false, true} {
		b.Run(map[bool]string{false: "pcap", true: "pcapng"}[pcapng], func(b *testing.B) {
			file, _ := endless(pcapng, b.N/3+1)
			r, err := pcapdrv.NewReader(file, "bench")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var f pcapdrv.Frame
			for range b.N {
				if err := r.Next(&f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPassAll leads packets from a file through a handle to the output; an operation is a packet.
func BenchmarkPassAll(b *testing.B) {
	for _, pcapng := range []bool{false, true} {
		b.Run(map[bool]string{false: "pcap", true: "pcapng"}[pcapng], func(b *testing.B) {
			file, _ := endless(pcapng, b.N/2+1)
			d, err := pcapdrv.Open(pcapdrv.Options{Reader: file, Writer: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: d})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			batch := divertdrv.NewBatch(64, 1<<18)
			for h.Recv(batch) == nil {
				for i := range batch.Packets() {
					batch.Packets()[i].Set(divertdrv.Pass, 0)
				}
				if err := h.Complete(batch); err != nil {
					b.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
