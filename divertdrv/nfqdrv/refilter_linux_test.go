package nfqdrv_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/nettest"
)

// kept is a driver that hands out the conns that it opened.
type kept struct {
	divertdrv.Driver
	conn divertdrv.Conn
}

func (k *kept) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	var err error
	k.conn, err = k.Driver.Open(f, l, o)
	return k.conn, err
}

type refilterer interface {
	Refilter(f *divertdrv.Filter) error
	Waiting() (uint64, bool)
}

// A handle's filter changes a hundred times while numbered datagrams to two ports run: those to the port that both filters take
// are all received, in order, those to the other only by one, and none is lost.
func TestRefilter(t *testing.T) {
	b := newBench(t)
	k := &kept{Driver: b.driver}
	h := openAt(t, k, "outbound and udp.DstPort == 7", divertdrv.Network, divertdrv.Options{})
	var seven, eight atomic.Uint64
	relay(t, h, func(p *divertdrv.Packet) {
		switch p.Headers().UDP(p.Data).DstPort() {
		case 7:
			seven.Add(1)
		case 8:
			eight.Add(1)
		}
	})
	a := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	c := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 8))
	const rounds, each = 100, 20
	both, one := parse(t, "outbound and udp.DstPort >= 7 and udp.DstPort <= 8"), parse(t, "outbound and udp.DstPort == 7")
	for i := range rounds {
		to := []*divertdrv.Filter{both, one}[i%2]
		if err := k.conn.(refilterer).Refilter(to); err != nil {
			t.Fatal(err)
		}
		for _, sink := range []*nettest.Sink{a, c} {
			nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: each, First: uint32(i * each), Size: 64})
		}
	}
	if got := a.Wait(rounds * each); got.Received != rounds*each || got.Reordered+got.Duplicates != 0 {
		t.Errorf("port 7: %+v", got)
	}
	if got := c.Wait(rounds * each); got.Received != rounds*each || got.Duplicates != 0 {
		t.Errorf("port 8: %+v", got)
	}
	waitFor(t, "the last verdict", func() bool { return h.Stats().InBatch == 0 })
	if n, known := k.conn.(refilterer).Waiting(); known && n != 0 {
		t.Errorf("%d packets wait", n)
	}
	if seven.Load() != rounds*each || eight.Load() != rounds/2*each {
		t.Errorf("received %d to 7, want %d; %d to 8, want %d", seven.Load(), rounds*each, eight.Load(), rounds/2*each)
	}
	if st := h.Stats(); st.Lost != 0 || st.Passed != st.Received {
		t.Errorf("%+v", st)
	}
}

// What cannot be changed is refused, and changes nothing.
func TestRefilterRefused(t *testing.T) {
	b := newBench(t)
	k := &kept{Driver: b.driver}
	h := openAt(t, k, "udp", divertdrv.Network, divertdrv.Options{})
	forward, err := filter.Parse("true", divertdrv.NetworkForward)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.conn.(refilterer).Refilter(forward); !errors.Is(err, divertdrv.ErrInvalid) {
		t.Errorf("another layer: %v", err)
	}
	if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
		t.Fatal(err)
	}
	if err := k.conn.(refilterer).Refilter(parse(t, "tcp")); !errors.Is(err, divertdrv.ErrShutdown) {
		t.Errorf("after Shutdown: %v", err)
	}
	openAt(t, k, "udp", divertdrv.Network, divertdrv.Options{Flags: divertdrv.Sniff})
	if err := k.conn.(refilterer).Refilter(parse(t, "tcp")); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("copies: %v", err)
	}
}

func parse(t *testing.T, text string) *divertdrv.Filter {
	t.Helper()
	p, err := filter.Parse(text, divertdrv.Network)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
