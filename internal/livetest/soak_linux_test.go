package livetest

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// soak is how long TestSoak and TestConsoleSoak take: a minute where all is tested (CI=true), ten with .ci/long, seconds for who waits for it.
var soak = flag.Duration("soak", soakDefault(), "how long a soak goes on")

func soakDefault() time.Duration {
	switch {
	case os.Getenv("WEIR_LONG") != "":
		return 10 * time.Minute
	case os.Getenv("CI") == "true":
		return time.Minute
	}
	return 5 * time.Second
}

// kinds are the handles that come and go: one of each way to be open.
var kinds = []struct {
	filter string
	layer  divertdrv.Layer
	o      divertdrv.Options
}{
	{"udp", divertdrv.Network, divertdrv.Options{Priority: 3}},
	{"udp.DstPort == 9 and timestamp > 0", divertdrv.Network, divertdrv.Options{Priority: 5}},
	{"udp", divertdrv.Network, divertdrv.Options{Flags: divertdrv.Sniff, Priority: 9}},
	{"udp.DstPort == 10", divertdrv.Network, divertdrv.Options{Flags: divertdrv.DropAll}},
	{"udp", divertdrv.Network, divertdrv.Options{Flags: divertdrv.SendOnly}},
	{"udp", divertdrv.Network, divertdrv.Options{Flags: divertdrv.Fragments, Priority: -5}},
	{"udp", divertdrv.Network, divertdrv.Options{CutThrough: true, Priority: 20}},
	{"true", divertdrv.NetworkForward, divertdrv.Options{}},
	{"true", divertdrv.LayerReflect, divertdrv.Options{Flags: divertdrv.Sniff | divertdrv.RecvOnly}},
}

// soaker is the load and what is opened under it.
type soaker struct {
	*bench
	driver divertdrv.Driver
	opened int
	total  divertdrv.Stats // of handles that were closed
}

// Datagrams are sent as fast as they go, through a handle that passes them all, while handles of every kind open and close above and
// below it: memory stays flat, and no goroutine, descriptor, program, map, table or rule is left. Every packet is accounted for.
func TestSoak(t *testing.T) {
	s := &soaker{bench: newBench(t, nettest.Program("nft", "nftables"))}
	s.driver = nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", s.here.NS.FD())})
	sink := nettest.ListenUDP(t, s.there.NS, netip.AddrPortFrom(s.there.V4, 9))
	src := nettest.DialUDP(t, s.here.NS, sink.Addr())
	s.cycle() // what a process makes once is there
	empty := nettest.Used(t)
	steady, over := s.open("udp.DstPort == 9", divertdrv.Network, divertdrv.Options{})
	stop := flood(src)
	for range 3 {
		s.cycle()
	}
	before := nettest.Used(t)
	rounds, looked := 0, time.Now()
	for until := looked.Add(*soak); time.Now().Before(until) && !t.Failed(); rounds++ {
		s.cycle()
		if time.Since(looked) > *soak/10 {
			looked = time.Now()
			if now := nettest.Settled(t, before); now.Leaks(before) {
				t.Errorf("after %d rounds %+v, before %+v", rounds, now, before)
			}
		}
	}
	stop()
	s.close(steady, over)
	after := nettest.Settled(t, empty)
	t.Logf("%v, %d rounds, %d handles, %d packets received, %d lost, %d let by: before %+v, after %+v",
		*soak, rounds, s.opened, s.total.Received, s.total.Lost, s.total.CutThrough, before, after)
	if after.Leaks(empty) {
		t.Errorf("when all was closed %+v, before anything was opened %+v", after, empty)
	}
	if rules := s.here.NS.Rules("weir"); rules != "" {
		t.Errorf("tables that are left:\n%s", rules)
	}
	if s.total.Received == 0 || s.total.CutThrough == 0 {
		t.Errorf("the load did not reach the handles: %+v", s.total)
	}
}

// cycle opens one handle of each kind, lets traffic run, and closes them in another order.
func (s *soaker) cycle() {
	s.t.Helper()
	type one struct {
		h    *divertdrv.Handle
		over <-chan struct{}
	}
	var all []one
	for _, k := range kinds {
		h, over := s.open(k.filter, k.layer, k.o)
		all = append(all, one{h, over})
	}
	time.Sleep(20 * time.Millisecond)
	for i := range all {
		o := all[(i*4)%len(all)]
		s.close(o.h, o.over)
	}
}

// open opens a handle and relays what it receives; with CutThrough it judges each flow.
func (s *soaker) open(filter string, l divertdrv.Layer, o divertdrv.Options) (*divertdrv.Handle, <-chan struct{}) {
	s.t.Helper()
	o.Driver = s.driver
	h, err := divertdrv.Open(filter, l, &o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.opened++
	over := make(chan struct{})
	go func() {
		defer close(over)
		if o.Flags&(divertdrv.SendOnly|divertdrv.DropAll) == 0 {
			relayAll(s.t, h)
		}
	}()
	return h, over
}

func relayAll(t *testing.T, h *divertdrv.Handle) {
	judges := h.Caps().CutThrough
	for b := divertdrv.NewBatch(64, 1<<18); ; {
		if err := h.Recv(b); err != nil {
			if !errors.Is(err, divertdrv.ErrClosed) {
				t.Errorf("Recv: %v", err)
			}
			return
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			p.Set(divertdrv.Pass, 0)
			if k, _, ok := p.Headers().Flow(p.Data); judges && ok && i == 0 {
				_ = h.Judge(k, h.Era()) // the handle may be closed, the packet ICMP
			}
		}
		if err := h.Complete(b); err != nil && !errors.Is(err, divertdrv.ErrClosed) {
			t.Errorf("Complete: %v", err)
		}
	}
}

// close ends a handle and looks at its books.
func (s *soaker) close(h *divertdrv.Handle, over <-chan struct{}) {
	s.t.Helper()
	if err := h.Close(); err != nil {
		s.t.Error(err)
	}
	<-over
	st := h.Stats()
	if err := st.Conserved(); err != nil || st.InBatch+st.Held != 0 {
		s.t.Errorf("%+v: %v", st, err)
	}
	s.total.Add(st)
}

// flood sends until it is stopped.
func flood(src *nettest.Source) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
				src.Send(nettest.Stream{Count: 500, Size: 64, Burst: 500, Every: time.Millisecond})
			}
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
	})
}
