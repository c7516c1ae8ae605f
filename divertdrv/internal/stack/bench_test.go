package stack_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/internal/clock"
)

// loop is a Source of a few packets that never ends.
type loop struct {
	addr divertdrv.Address
	data [][]byte
	at   int
}

func newLoop(payload int) *loop {
	l := &loop{addr: *outbound()}
	for n := range 64 {
		l.data = append(l.data, packetOf(2*n, payload))
	}
	return l
}

func (l *loop) Next() (*divertdrv.Address, []byte, error) {
	l.at = (l.at + 1) % len(l.data)
	return &l.addr, l.data[l.at], nil
}

func quiet(c *stack.Config) { c.Sink, c.Clock = nil, clock.System }

// round receives one batch and passes it.
func round(tb testing.TB, h *divertdrv.Handle, b *divertdrv.Batch) {
	if err := h.Recv(b); err != nil {
		tb.Fatal(err)
	}
	for i := range b.Packets() {
		b.Packets()[i].Set(divertdrv.Pass, 0)
	}
	if err := h.Complete(b); err != nil {
		tb.Fatal(err)
	}
}

func TestNoAllocations(t *testing.T) {
	b := divertdrv.NewBatch(64, 1<<17)
	pulled := newRig(t, quiet, func(c *stack.Config) { c.Source, c.Prompt = newLoop(100), true })
	h := pulled.open("udp", 1, 0)
	if n := testing.AllocsPerRun(200, func() { round(t, h, b) }); n != 0 {
		t.Errorf("pulled: %v allocations per batch", n)
	}

	r := newRig(t, quiet)
	high, low, a, data := r.open("udp", 1, 0), r.open("true", 0, 0), outbound(), packetOf(2, 1400)
	free := free(a, data)
	impostor := outbound()
	impostor.SetImpostor(true)
	hops := []divertdrv.Packet{*divertdrv.NewPacket(*impostor, packet(4))}
	if n := testing.AllocsPerRun(200, func() {
		for range 62 {
			if err := r.Enter(a, data); err != nil {
				t.Fatal(err)
			}
		}
		round(t, high, b)
		for _, p := range [][]divertdrv.Packet{free, hops} {
			if _, err := high.Inject(p); err != nil {
				t.Fatal(err)
			}
		}
		round(t, low, b)
	}); n != 0 {
		t.Errorf("entered, two handles: %v allocations per batch", n)
	}
}

// BenchmarkBatch64 is the whole way of a packet through one handle: from a source, through Recv and Complete of batches of 64,
// to the sink. BenchmarkCall beside it is what a function call per packet costs.
func BenchmarkBatch64(b *testing.B) {
	for _, c := range []struct {
		name    string
		payload int
	}{{"60B", 32}, {"1500B", 1472}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, quiet, func(s *stack.Config) { s.Source, s.Prompt = newLoop(c.payload), true })
			benchRounds(b, r.open("true", 0, 0), func() {})
		})
		b.Run(c.name+"-entered", func(b *testing.B) {
			r := newRig(b, quiet)
			a, data := outbound(), packetOf(2, c.payload)
			benchRounds(b, r.open("true", 0, 0), func() {
				for range 64 {
					_ = r.Enter(a, data)
				}
			})
		})
	}
}

func benchRounds(b *testing.B, h *divertdrv.Handle, feed func()) {
	batch := divertdrv.NewBatch(64, 1<<17)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		feed()
		round(b, h, batch)
		n += 64
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}

func BenchmarkCall(b *testing.B) {
	src := newLoop(32)
	sinks := []func(*divertdrv.Address, []byte) error{func(*divertdrv.Address, []byte) error { return nil }} // not inlined
	n := 0
	for b.Loop() {
		for range 64 {
			a, data, _ := src.Next()
			_ = sinks[0](a, data)
		}
		n += 64
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}
