package nfqdrv_test

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// judgeAll judges the flow of every packet that is received.
func judgeAll(t testing.TB, h *divertdrv.Handle) func(p *divertdrv.Packet) {
	return func(p *divertdrv.Packet) {
		k, _, _ := p.Headers().Flow(p.Data)
		if err := h.Judge(k, h.Era()); err != nil && !errors.Is(err, divertdrv.ErrClosed) {
			t.Errorf("Judge: %v", err)
		}
	}
}

// A flow of numbered datagrams is judged and called back a thousand times while it runs: no datagram overtakes another, whether the
// kernel lets it by or not, and each is counted once.
func TestCutThroughNeverOvertakes(t *testing.T) {
	const switches = 1000
	for _, hook := range []string{"input", "output", "forward"} {
		t.Run(hook, func(t *testing.T) {
			nettest.Need(t, nettest.Root)
			var h *divertdrv.Handle
			var from, to *nettest.Link
			if hook == "forward" {
				net := nettest.NewRouted(t)
				from, to = net.Client, net.Server
				h = openAt(t, driverIn(net.Router), "udp.DstPort == 7", divertdrv.NetworkForward, divertdrv.Options{CutThrough: true})
			} else {
				b := newBench(t)
				from, to = b.here, b.there
				if hook == "input" {
					from, to = to, from
				}
				h = b.open("udp.DstPort == 7", divertdrv.Options{CutThrough: true})
			}
			sink := nettest.ListenUDP(t, to.NS, netip.AddrPortFrom(to.V4, 7))
			src := nettest.DialUDP(t, from.NS, sink.Addr())
			relay(t, h, judgeAll(t, h))

			var done atomic.Int64
			var wg sync.WaitGroup
			stop := make(chan struct{})
			wg.Go(func() { recallEachSwitch(t, h, &done, stop) })
			sent := 0
			for until := time.Now().Add(90 * time.Second); done.Load() < switches && time.Now().Before(until); {
				src.Send(nettest.Stream{Count: 300, First: uint32(sent), Size: 64, Burst: 3, Every: 20 * time.Microsecond})
				sent += 300
				sink.Wait(sent)
			}
			close(stop)
			wg.Wait()
			got := sink.Wait(sent)
			waitFor(t, "the last verdict", func() bool { st := h.Stats(); return st.InBatch == 0 }) // it arrives before it is counted
			st := h.Stats()
			t.Logf("%d switches: of %d datagrams %d received, %d let by in the kernel; %d judgements", done.Load(), sent, st.Received, st.CutThrough, st.Judged)
			if done.Load() < switches || got.Received != sent || got.Reordered+got.Duplicates+got.Damaged+got.Missing != 0 {
				t.Errorf("%d switches, want %d; arrived %+v of %d", done.Load(), switches, got, sent)
			}
			if st.Received+st.CutThrough != uint64(sent) || st.Lost != 0 || st.Passed != st.Received || st.Conserved() != nil {
				t.Errorf("sent %d: %+v", sent, st)
			}
		})
	}
}

// recallEachSwitch calls all flows back whenever the kernel has let packets by since the last time.
func recallEachSwitch(t *testing.T, h *divertdrv.Handle, done *atomic.Int64, stop <-chan struct{}) {
	seen := uint64(0)
	for {
		select {
		case <-stop:
			return
		default:
			time.Sleep(200 * time.Microsecond)
		}
		if n := h.Stats().CutThrough; n > seen {
			seen = n
			done.Add(1)
			if err := h.RecallAll(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A judged TCP connection is left to the kernel, its end is not, and the next one from the same ports is asked about.
func TestCutThroughTCP(t *testing.T) {
	b := newBench(t)
	h := b.open("tcp", divertdrv.Options{CutThrough: true})
	relay(t, h, judgeAll(t, h))
	const size = 50 << 20
	for _, to := range []netip.Addr{b.there.V4, b.there.V6} {
		before := h.Stats()
		tr := nettest.MustTransferTCP(t, b.here.NS, b.there.NS, to, size)
		after := h.Stats()
		t.Logf("%v: %v; received %d, let by %d", to, tr.Elapsed, after.Received-before.Received, after.CutThrough-before.CutThrough)
		if after.CutThrough == before.CutThrough || after.Received < before.Received+3 {
			t.Errorf("%+v, then %+v", before, after)
		}
	}
}

// What ends a judgement: Recall, RecallAll, an era that is over, and the end of the handle; each datagram tells.
func TestCutThroughEnds(t *testing.T) {
	b := newBench(t)
	h := b.open("udp.DstPort == 7", divertdrv.Options{CutThrough: true})
	keys := make(chan divertdrv.FlowKey, 100)
	relay(t, h, func(p *divertdrv.Packet) {
		k, _, _ := p.Headers().Flow(p.Data)
		keys <- k
	})
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	src := nettest.DialUDP(t, b.here.NS, sink.Addr())
	n := 0
	send := func(why string, seen bool) {
		t.Helper()
		before := h.Stats()
		src.Send(nettest.Stream{Count: 1, First: uint32(n), Size: 64})
		n++
		sink.Wait(n)
		waitFor(t, why, func() bool { st := h.Stats(); return st.InBatch == 0 })
		after := h.Stats()
		if got := after.Received > before.Received; got != seen || after.Received+after.CutThrough != uint64(n) {
			t.Errorf("%s: received %v, want %v; %+v", why, got, seen, after)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	send("not judged", true)
	k := <-keys
	must(h.Judge(k, h.Era()))
	send("judged", false)
	must(h.Recall(k))
	send("recalled", true)
	era := h.Era()
	must(h.Judge(k, era))
	must(h.Judge(k, era))
	send("judged again", false)
	must(h.RecallAll())
	send("all recalled", true)
	must(h.Judge(k, era))
	send("judged by an era that is over", true)
	must(h.Judge(k, h.Era()))
	other := b.open("udp.DstPort == 7", divertdrv.Options{Priority: -1})
	relay(t, other, nil)
	send("judged, and a handle below", false)
	if st := other.Stats(); st.Received != 1 {
		t.Errorf("the handle below received %d, want 1", st.Received)
	}
	must(h.Close())
	if err := h.Judge(k, era); !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("Judge on a closed handle: %v", err)
	}
}

// Packets that are out, held for long or in batches of others, are not overtaken.
func TestCutThroughWaitsForHeld(t *testing.T) {
	b := newBench(t)
	h := b.open("udp.DstPort == 7", divertdrv.Options{CutThrough: true})
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	src := nettest.DialUDP(t, b.here.NS, sink.Addr())
	src.Send(nettest.Stream{Count: 1, Size: 64})
	batch := take(t, h, 1)[0]
	p := &batch.Packets()[0]
	k, _, _ := p.Headers().Flow(p.Data)
	if err := h.Judge(k, h.Era()); err != nil {
		t.Fatal(err)
	}
	held, err := batch.Hold(0, 0, divertdrv.Drop)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Complete(batch); err != nil {
		t.Fatal(err)
	}
	src.Send(nettest.Stream{Count: 3, First: 1, Size: 64})
	rest := take(t, h, 3)
	if st := h.Stats(); st.CutThrough != 0 {
		t.Errorf("%+v while a packet is held", st)
	}
	if err := held.Release(divertdrv.Pass, 0); err != nil {
		t.Fatal(err)
	}
	passAll(t, h, rest)
	src.Send(nettest.Stream{Count: 5, First: 4, Size: 64})
	if got := sink.Wait(9); got.Received != 9 || got.Reordered != 0 {
		t.Errorf("%+v", got)
	}
	if st := h.Stats(); st.Received != 4 || st.CutThrough != 5 {
		t.Errorf("%+v", st)
	}
}

// Of a queue that overflowed many packets are gone; judged flows are let by all the same when nothing is under way.
func TestCutThroughAfterLoss(t *testing.T) {
	b := newBench(t)
	h := b.open("udp", divertdrv.Options{CutThrough: true})
	s := newBlaster(t, b)
	sent := uint64(0)
	for until := time.Now().Add(30 * time.Second); h.Stats().Lost == 0 && time.Now().Before(until); sent += burst {
		s.send()
	}
	relay(t, h, judgeAll(t, h))
	quiet := func() bool { st := h.Stats(); return st.Received+st.CutThrough+st.Lost == sent && st.InBatch == 0 }
	waitFor(t, "what was queued", quiet)
	for range 3 {
		s.send()
		sent += burst
		waitFor(t, "a burst", quiet)
	}
	if st := h.Stats(); st.Lost == 0 || st.CutThrough < burst {
		t.Errorf("%+v", st)
	}
}

// Who cannot judge says so when the handle is opened, or when it is asked.
func TestCutThroughRefused(t *testing.T) {
	b := newBench(t)
	for _, f := range []divertdrv.Flags{divertdrv.Sniff, divertdrv.DropAll, divertdrv.RecvOnly, divertdrv.SendOnly, divertdrv.Fragments} {
		_, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: b.driver, CutThrough: true, Flags: f})
		if !errors.Is(err, divertdrv.ErrUnsupported) {
			t.Errorf("%v: %v", f, err)
		}
	}
	closed := nfqdrv.New(nfqdrv.Config{Namespace: namespaceOf(b.here.NS), FailClosed: true})
	if _, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: closed, CutThrough: true}); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("FailClosed: %v", err)
	}
	var k divertdrv.FlowKey
	plain := b.open("false", divertdrv.Options{})
	if err := plain.Judge(k, 0); !errors.Is(err, divertdrv.ErrUnsupported) || plain.Caps().CutThrough {
		t.Errorf("without the option: %v, %+v", err, plain.Caps())
	}
	h := b.open("false", divertdrv.Options{CutThrough: true})
	if err := h.Judge(k, h.Era()); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("a flow of no protocol: %v", err)
	}
}

// Nothing is allocated for a packet, whether its flow is judged or not.
func TestCutThroughAllocs(t *testing.T) {
	b := newBench(t)
	s := newBlaster(t, b)
	h := b.open("udp.DstPort == 9", divertdrv.Options{CutThrough: true})
	batch := divertdrv.NewBatch(burst, 1<<20)
	diverted := func() {
		s.send()
		relayBurst(t, h, batch)
	}
	diverted()
	noAllocs(t, diverted)
}
