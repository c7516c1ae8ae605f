package stream

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// traffic is one direction of a connection, whose segments are swapped here and there.
func traffic(tb testing.TB, segments int) (all [][]byte, headers []wire.Headers) {
	seq := uint32(0)
	add := func(flags wire.TCPFlags, n int) {
		src, dst := netip.MustParseAddrPort("10.0.0.1:5000"), netip.MustParseAddrPort("192.0.2.1:443")
		b, err := craft.TCP(src, dst, craft.Segment{Flags: flags, Seq: seq}, make([]byte, n))
		if err != nil {
			tb.Fatal(err)
		}
		seq += uint32(n)
		all = append(all, b)
	}
	add(wire.SYN, 0)
	seq++
	for range segments {
		add(wire.ACK, 1460)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := 1; i+3 < len(all); i += 1 + r.IntN(20) {
		all[i], all[i+2] = all[i+2], all[i]
	}
	add(wire.RST, 0)
	headers = make([]wire.Headers, len(all))
	for i := range all {
		wire.Parse(all[i], &headers[i])
	}
	return all, headers
}

// Pages and entries are used again: once there are enough, nothing is allocated.
func TestNoAllocations(t *testing.T) {
	all, headers := traffic(t, 300)
	var closed int
	a := New(Config{}, func(Conn) Reader { return counter{&closed} })
	read := func() {
		for i := range all {
			a.Add(all[i], &headers[i], 0)
		}
		a.Tick(0)
	}
	if n := testing.AllocsPerRun(20, read); n > 1 { // open makes a reader
		t.Errorf("%v allocations for a connection of %d segments", n, len(all))
	}
	if s := a.Stats(); closed != 21 || s.Lost != 0 || s.Delivered != 21*300*1460 {
		t.Errorf("%d connections, %+v", closed, s)
	}
}

func BenchmarkAdd(b *testing.B) {
	all, headers := traffic(b, 2000)
	var closed int
	a := New(Config{}, func(Conn) Reader { return counter{&closed} })
	b.ReportAllocs()
	b.SetBytes(1460)
	for i := 0; b.Loop(); i++ {
		at := i % len(all)
		a.Add(all[at], &headers[at], 0)
	}
}
