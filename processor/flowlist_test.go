package processor

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// list returns the flows of a stage.
func (st *stage) list() (all []FlowInfo) {
	st.p.Flows(func(f *FlowInfo) bool {
		all = append(all, *f)
		return true
	})
	return all
}

// virtual has the processor go by a clock of the test's.
func (st *stage) virtual() *clock.Virtual {
	v := clock.NewVirtual(time.Unix(0, 0))
	st.p.clock, st.p.epoch, st.p.realTime = v, v.Now(), false
	return v
}

// A flow is told with who opened it, how far it is, what it carried in both directions, and for how long.
func TestFlows(t *testing.T) {
	st := newStage(t)
	v := st.virtual()
	v.Advance(5 * time.Second)
	st.in(tcpOf(there, here, synFlag))
	v.Advance(3 * time.Second)
	st.out(tcpOf(here, there, synAck))
	v.Advance(time.Second)
	all := st.list()
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	f := &all[0]
	if f.Source != wire.EndpointFrom(there) || f.Destination != wire.EndpointFrom(here) || f.Outbound || f.Midstream || f.State != "answered" ||
		f.Packets != 2 || f.Bytes != 80 || f.Age != 4*time.Second || f.Idle != time.Second || f.Refused || f.Waiting != 0 {
		t.Errorf("%+v", f)
	}
	st.in(tcpOf(there, here, ackFlag))
	st.in(tcpOf(there, here, wire.RST))
	if f = &st.list()[0]; f.State != "closed" || f.Packets != 4 {
		t.Errorf("%+v", f)
	}
	v.Advance(time.Second)
	st.out(tcpOf(here, there, synFlag)) // opens it anew
	if f = &st.list()[0]; f.State != "opening" || f.Packets != 1 || f.Age != 0 || !f.Outbound || f.Source != wire.EndpointFrom(here) {
		t.Errorf("%+v", f)
	}
}

// A flow that was refused says why, and there may be more flows than are looked at under one lock.
func TestFlowsAll(t *testing.T) {
	st := newStage(t, Filter{Name: "no", Layer: ALEAuthConnect, When: when(t, "tcp.DstPort == 443"), Action: ActionBlock})
	const count = 3*flowsAtOnce + 7
	for i := range count {
		st.out(tcpOf(netip.AddrPortFrom(here.Addr(), uint16(1000+i)), there, synFlag))
	}
	seen := map[uint16]bool{}
	for _, f := range st.list() {
		if !f.Refused || f.Cause.String() != "filter" {
			t.Fatalf("%+v", f)
		}
		seen[f.Source.Port] = true
	}
	if len(seen) != count {
		t.Errorf("%d flows, want %d", len(seen), count)
	}
	n := 0
	st.p.Flows(func(*FlowInfo) bool { n++; return n < 10 })
	if n != 10 {
		t.Errorf("%d told, want 10", n)
	}
}

// What a changed policy changes is told by names.
func TestChange(t *testing.T) {
	a := policyOf(t, Filter{Name: "same", Layer: IPForward, Action: ActionPermit}, Filter{Name: "other", Layer: IPForward, Action: ActionPermit},
		Filter{Name: "old", Layer: IPForward, Action: ActionPermit})
	b := policyOf(t, Filter{Name: "other", Layer: IPForward, Action: ActionBlock}, Filter{Name: "same", Layer: IPForward, Action: ActionPermit},
		Filter{Name: "new", Layer: IPForward, Action: ActionPermit})
	st := newStage(t)
	for _, pol := range []*Policy{a, b} {
		c, err := st.p.Apply(pol)
		if err != nil {
			t.Fatal(err)
		}
		if pol == b && (len(c.Added) != 1 || c.Added[0] != "new" || len(c.Removed) != 1 || c.Removed[0] != "old" || len(c.Changed) != 1 || c.Changed[0] != "other") {
			t.Errorf("%+v", c)
		}
	}
	if all := b.All(); len(all) != 3 || all[0].Name != "other" || all[0].Sublayer != DefaultSublayer || all[0].Action != ActionBlock {
		t.Errorf("%+v", all)
	}
	st.p.Adopt()
	if st.p.workers[0].policy != b {
		t.Error("the worker judges by another policy")
	}
}
