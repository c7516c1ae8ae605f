package nfqdrv_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/nettest"
)

// Everything is diverted and passed, and programs notice nothing.
func TestProgramsNoticeNothing(t *testing.T) {
	b := newBench(t)
	h := b.open("true", divertdrv.Options{})
	relay(t, h, nil)
	for _, to := range []netip.Addr{b.there.V4, b.there.V6, b.here.V4, b.here.V6} {
		for _, size := range []int{56, 4000} {
			n, err := nettest.Ping(b.here.NS, to, nettest.Echo{Count: 3, Size: size, Wait: 2 * time.Second})
			if n != 3 || err != nil {
				t.Errorf("ping %v with %d bytes: %d of 3 answers, %v", to, size, n, err)
			}
		}
	}
	for _, to := range []netip.Addr{b.there.V4, b.there.V6} {
		tr := nettest.MustTransferTCP(t, b.here.NS, b.there.NS, to, 50<<20)
		t.Logf("TCP to %v: %+v", to, tr)
	}
	if bad := b.there.NS.Counters().BadChecksums() + b.here.NS.Counters().BadChecksums(); bad != 0 {
		t.Errorf("%d bad checksums", bad)
	}
	st := h.Stats()
	t.Logf("%+v", st)
	if st.Received == 0 || st.Lost != 0 || st.Passed+st.InBatch != st.Received {
		t.Errorf("%+v", st)
	}
}

// The same for a router, whose handle sees both directions and super-packets of others.
func TestForwardNoticesNothing(t *testing.T) {
	nettest.Need(t, nettest.Root)
	net := nettest.NewRouted(t)
	h := openAt(t, driverIn(net.Router), "true", divertdrv.NetworkForward, divertdrv.Options{})
	bad := 0
	relay(t, h, func(p *divertdrv.Packet) {
		if a := p.Addr; !a.Outbound() || a.Loopback() || a.Layer() != divertdrv.NetworkForward ||
			a.IfIdx() != uint32(net.Left.Index) && a.IfIdx() != uint32(net.Right.Index) {
			bad++
		}
	})
	for _, to := range []netip.Addr{net.Server.V4, net.Server.V6} {
		n, err := nettest.Ping(net.Client.NS, to, nettest.Echo{Count: 3, Size: 4000, Wait: 2 * time.Second})
		if n != 3 || err != nil {
			t.Errorf("ping %v: %d of 3 answers, %v", to, n, err)
		}
		nettest.MustTransferTCP(t, net.Client.NS, net.Server.NS, to, 20<<20)
	}
	_ = h.Close()
	if st := h.Stats(); st.Received < 100 || st.Lost != 0 || bad != 0 {
		t.Errorf("%d addresses are wrong; %+v", bad, st)
	}
	for _, l := range net.Links() {
		if bad := l.NS.Counters().BadChecksums(); bad != 0 {
			t.Errorf("%s: %d bad checksums", l.Name, bad)
		}
	}
}

// What a filter asks that no program can know is asked again in user space; what it does not want goes on at once.
func TestFilterNotExact(t *testing.T) {
	b := newBench(t)
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	mine := fmt.Sprintf("outbound and udp.DstPort == 7 and ifIdx == %d", b.here.Index)
	for i, c := range []struct {
		filter string
		flags  divertdrv.Flags
		want   uint64 // received, of 20
	}{
		{mine, 0, 20},
		{mine + " and timestamp < 0", 0, 0},
		{mine, divertdrv.DropAll, 20},
		{mine + " and timestamp < 0", divertdrv.DropAll, 0},
		{"udp.DstPort == 7 and timestamp > 0", divertdrv.Sniff, 20},
		{"udp.DstPort == 7 and timestamp < 0", divertdrv.Sniff, 0},
	} {
		h := b.open(c.filter, divertdrv.Options{Flags: c.flags})
		relay(t, h, nil)
		nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 20, First: uint32(100 * i), Size: 64})
		waitFor(t, c.filter, func() bool { return h.Stats().Received == c.want })
		_ = h.Close()
		left := 0
		for _, part := range h.Kernel() {
			left += len(part.Left)
		}
		if exact := divertdrv.Exact(h.Kernel()); exact == (left > 0) || exact { // ifIdx, or timestamp, at output
			t.Errorf("%q: exact %v with %d tests left", c.filter, exact, left)
		}
		if st := h.Stats(); st.Received != c.want || st.Lost != 0 || st.Unmatched != 20-c.want {
			t.Errorf("%q %v: %+v, want %d", c.filter, c.flags, st, c.want)
		}
	}
	if got := sink.Wait(101); got.Received != 100 { // all but those of the third
		t.Errorf("%+v", got)
	}
}

// A copy of an outbound packet does not tell its interface, so a filter that asks for it is refused.
func TestRefusals(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		filter string
		layer  divertdrv.Layer
		o      divertdrv.Options
	}{
		{"ifIdx == 1 and tcp", divertdrv.Network, divertdrv.Options{Flags: divertdrv.Sniff}},
		{"true", divertdrv.Network, divertdrv.Options{Readers: 2}},
		{"true", divertdrv.LayerSocket, divertdrv.Options{Flags: divertdrv.RecvOnly}},
	} {
		c.o.Driver = b.driver
		_, err := divertdrv.Open(c.filter, c.layer, &c.o)
		var op *divertdrv.OpError
		if !errors.Is(err, divertdrv.ErrUnsupported) || !errors.As(err, &op) || op.Driver != nfqdrv.Name {
			t.Errorf("%q at %v, %+v: %v", c.filter, c.layer, c.o, err)
		}
	}
	_, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: nfqdrv.New(nfqdrv.Config{Namespace: "/nowhere"})})
	if !errors.Is(err, divertdrv.ErrInvalid) {
		t.Errorf("a namespace that is not there: %v", err)
	}
}

// What was passed and had been lost in the kernel by then is not called passed.
func TestLostInTheKernel(t *testing.T) {
	b := newBench(t)
	h := b.open("udp.DstPort == 7", divertdrv.Options{})
	to := netip.AddrPortFrom(b.there.V4, 7)
	nettest.SendUDP(t, b.here.NS, to, nettest.Stream{Count: 10, Size: 64})
	batches := take(t, h, 10)
	b.here.NS.Command("ip", "link", "set", b.here.Name, "down") // the kernel drops what waits for the device
	passAll(t, h, batches)
	if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
		t.Fatal(err)
	}
	if err := h.Recv(divertdrv.NewBatch(1, 2000)); !errors.Is(err, divertdrv.ErrShutdown) { // hears of it
		t.Fatal(err)
	}
	if st := h.Stats(); st.Received != 10 || st.Passed != 0 || st.Dropped[reason.SendFailed] != 10 || st.Conserved() != nil {
		t.Errorf("%+v", st)
	}
}

// A handle that spins before it sleeps brings the same, and ends the same way.
func TestSpin(t *testing.T) {
	b := newBench(t)
	b.driver = nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", b.here.NS.FD()), Spin: time.Hour}) // is cut to SpinMax
	h := b.open("icmp", divertdrv.Options{})
	over := relay(t, h, nil)
	if n, err := nettest.Ping(b.here.NS, b.there.V4, nettest.Echo{Count: 5, Size: 56}); n != 5 || err != nil {
		t.Errorf("%d of 5 answers, %v", n, err)
	}
	_ = h.Close()
	<-over
	if st := h.Stats(); st.Received != 10 {
		t.Errorf("received %d, want 10", st.Received)
	}
}
