package simdrv

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
)

// replay is a Traffic's packets, made beforehand and given again and again, so that a benchmark does not measure their making.
type replay struct {
	at    int
	addrs []divertdrv.Address
	data  [][]byte
}

func newReplay(packets int) *replay {
	r := &replay{}
	for src := NewTraffic(1, packets); ; {
		a, data, err := src.Next()
		if err != nil {
			return r
		}
		r.addrs = append(r.addrs, *a)
		r.data = append(r.data, append([]byte(nil), data...))
	}
}

func (r *replay) next() (*divertdrv.Address, []byte) {
	r.at = (r.at + 1) % len(r.data)
	return &r.addrs[r.at], r.data[r.at]
}

// BenchmarkBatch64 is Enter, Recv and Complete of 64 mixed packets (654 bytes on average) through one handle; BenchmarkTraffic
// makes them.
func BenchmarkBatch64(b *testing.B) {
	s, src := New(Config{}), newReplay(4096)
	h := open(b, s, "true", divertdrv.Options{})
	batch := divertdrv.NewBatch(64, 1<<18)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for range 64 {
			a, data := src.next()
			if err := s.Enter(a, data); err != nil {
				b.Fatal(err)
			}
		}
		if err := h.Recv(batch); err != nil {
			b.Fatal(err)
		}
		pass(b, h, batch)
		n += 64
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}

// BenchmarkBatch64Traffic has an idle Recv pull the packets from a Traffic.
func BenchmarkBatch64Traffic(b *testing.B) {
	s := New(Config{Source: NewTraffic(1, 0)})
	h := open(b, s, "true", divertdrv.Options{})
	batch := divertdrv.NewBatch(64, 1<<18)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := h.Recv(batch); err != nil {
			b.Fatal(err)
		}
		n += batch.Len()
		pass(b, h, batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}
