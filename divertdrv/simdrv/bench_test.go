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

func (r *replay) Next() (*divertdrv.Address, []byte, error) {
	r.at = (r.at + 1) % len(r.data)
	return &r.addrs[r.at], r.data[r.at], nil
}

func (*replay) Prompt() {}

// mixedPackets are 512 packets, 640 bytes on average: they stay in a processor's cache, where a driver finds what it was just given.
const mixedPackets = 512

// BenchmarkBatch64 is the way of mixed packets through one handle, in batches of 64: from a Source through Recv and Complete to the
// wire. BenchmarkCall beside it is what a function call for each costs.
func BenchmarkBatch64(b *testing.B) {
	s := New(Config{Source: newReplay(mixedPackets)})
	h := open(b, s, "true", divertdrv.Options{})
	benchRounds(b, h, func() {})
}

// BenchmarkBatch64Entered has them come one by one, by Enter, as a host's own packets do: one lock and one copy more for each.
func BenchmarkBatch64Entered(b *testing.B) {
	s, src := New(Config{}), newReplay(mixedPackets)
	h := open(b, s, "true", divertdrv.Options{})
	benchRounds(b, h, func() {
		for range 64 {
			a, data, _ := src.Next()
			if err := s.Enter(a, data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBatch64Traffic makes the packets on the way.
func BenchmarkBatch64Traffic(b *testing.B) {
	s := New(Config{Source: NewTraffic(1, 0)})
	h := open(b, s, "true", divertdrv.Options{})
	benchRounds(b, h, func() {})
}

func benchRounds(b *testing.B, h *divertdrv.Handle, feed func()) {
	batch := divertdrv.NewBatch(64, 1<<18)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		feed()
		if err := h.Recv(batch); err != nil {
			b.Fatal(err)
		}
		for i := range batch.Packets() {
			batch.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(batch); err != nil {
			b.Fatal(err)
		}
		n += 64
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}

func BenchmarkCall(b *testing.B) {
	src, room, n := newReplay(mixedPackets), make([]byte, 1<<16), 0
	calls := []func(*divertdrv.Address, []byte){func(_ *divertdrv.Address, data []byte) { room[0] = data[0] }} // not inlined
	for b.Loop() {
		for range 64 {
			a, data, _ := src.Next()
			calls[0](a, data)
		}
		n += 64
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}
