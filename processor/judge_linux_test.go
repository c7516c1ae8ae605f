package processor_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
	"github.com/weirnet/weir/processor"
)

// judge judges every flow, and counts what it is told.
type judge struct{ asked, refused atomic.Int64 }

func (j *judge) Name() string { return "judge" }
func (j *judge) Judges()      {}

func (j *judge) Classify(c *processor.Classification) processor.Verdict {
	if c.Judge() != nil {
		j.refused.Add(1)
	} else {
		j.asked.Add(1)
	}
	return processor.Verdict{}
}

// filters name it at both transport layers.
func (j *judge) filters() (all []processor.Filter) {
	for _, l := range []processor.Layer{processor.InboundTransport, processor.OutboundTransport} {
		all = append(all, processor.Filter{Name: "judge-" + l.String(), Layer: l, Action: processor.ActionCalloutInspection, Callout: j})
	}
	return all
}

var withCutThrough = divertdrv.Options{CutThrough: true}

// blockAt blocks datagrams to port 7 on their way out, by packet and not by flow.
func blockAt(t testing.TB) processor.Filter {
	return processor.Filter{Name: "block", Layer: processor.OutboundIPPacket, When: match(t, "udp.DstPort == 7"), Action: processor.ActionBlock}
}

// A judged flow stays in the kernel; the policy that is swapped in decides about the very next datagram.
func TestLiveSwapCallsJudgedFlowsBack(t *testing.T) {
	nettest.Need(t, nettest.Root)
	here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	j := &judge{}
	s := newHostWith(t, here.NS, "tcp or udp", withCutThrough, j.filters()...)
	sink := nettest.ListenUDP(t, there.NS, netip.AddrPortFrom(there.V4, 7))
	src := nettest.DialUDP(t, here.NS, sink.Addr())
	sent, arrived := 0, 0
	const rounds, each = 20, 30
	for range rounds {
		before := s.h.Stats().CutThrough
		for until := time.Now().Add(patience); s.h.Stats().CutThrough < before+each && time.Now().Before(until); {
			src.Send(nettest.Stream{Count: 10, First: uint32(sent), Size: 64})
			sent, arrived = sent+10, arrived+10
			sink.Wait(arrived)
		}
		s.apply(append(j.filters(), blockAt(t))...)
		src.Send(nettest.Stream{Count: each, First: uint32(sent), Size: 64}) // none of these may pass
		sent += each
		waitUntil(t, func() bool { st := s.h.Stats(); return st.Received+st.CutThrough == uint64(sent) && st.InBatch == 0 })
		s.apply(j.filters()...)
	}
	src.Send(nettest.Stream{Count: 1, First: uint32(sent), Size: 64})
	arrived++
	sent++
	if got := sink.Wait(arrived); got.Received != arrived || got.Reordered+got.Duplicates != 0 {
		t.Errorf("arrived %+v, want %d", got, arrived)
	}
	st, ps := s.finish()
	t.Logf("%d received, %d let by in the kernel, %d judged", st.Received, st.CutThrough, ps.Judged)
	if st.DroppedTotal() != rounds*each || st.CutThrough < rounds*each || st.Received+st.CutThrough != uint64(sent) || ps.Judged < rounds {
		t.Errorf("sent %d: %+v, judged %d", sent, st, ps.Judged)
	}
}

// Connections are judged when they are open, and their beginnings and ends are seen: each flow closes in the table too.
func TestLiveJudgedConnections(t *testing.T) {
	nettest.Need(t, nettest.Root)
	here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	j := &judge{}
	s := newHostWith(t, here.NS, "tcp or udp", withCutThrough, j.filters()...)
	const bytes = 20 << 20
	for i, to := range []netip.Addr{there.V4, there.V6, there.V4, there.V6} {
		before := s.h.Stats()
		if _, err := nettest.TransferTCP(here.NS, there.NS, netip.AddrPortFrom(to, 0), bytes, uint64(i)); err != nil {
			t.Errorf("to %v: %v", to, err)
		}
		if after := s.h.Stats(); after.CutThrough == before.CutThrough {
			t.Errorf("to %v: nothing stayed in the kernel: %+v", to, after)
		}
	}
	st, ps := s.finish()
	if st.DroppedTotal() != 0 || ps.Judged < 4 || j.refused.Load() < 8 { // SYN and SYN ACK of each, at least
		t.Errorf("%+v; judged %d, refused %d", st, ps.Judged, j.refused.Load())
	}
}

// A flow whose packets are changed is never judged, also not after the change has ended.
func TestLiveEditedFlowsAreNotJudged(t *testing.T) {
	nettest.Need(t, nettest.Root)
	here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	j := &judge{}
	once := &editOnce{}
	edit := processor.Filter{Name: "edit", Layer: processor.OutboundTransport, Weight: 9, When: match(t, "udp.DstPort == 7"), Action: processor.ActionCalloutUnknown, Callout: once}
	s := newHostWith(t, here.NS, "tcp or udp", withCutThrough, append(j.filters(), edit)...)
	sink := nettest.ListenUDP(t, there.NS, netip.AddrPortFrom(there.V4, 7))
	src := nettest.DialUDP(t, here.NS, sink.Addr())
	const n = 50
	for i := range n {
		src.Send(nettest.Stream{Count: 1, First: uint32(i), Size: 64})
		sink.Wait(i + 1)
	}
	waitUntil(t, func() bool { st := s.h.Stats(); return st.Received+st.CutThrough >= n && st.InBatch == 0 })
	if st, ps := s.finish(); st.CutThrough != 0 || ps.Judged != 0 || !once.done.Load() {
		t.Errorf("%+v; judged %d", st, ps.Judged)
	}
}

// editOnce lowers the TTL of the first packet.
type editOnce struct{ done atomic.Bool }

func (e *editOnce) Name() string { return "edit-once" }

func (e *editOnce) Classify(c *processor.Classification) processor.Verdict {
	if !e.done.Swap(true) {
		c.Packet.Edit()[8]--
	}
	return processor.Verdict{}
}

func waitUntil(t testing.TB, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not come to pass")
		}
	}
}
