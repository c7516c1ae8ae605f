package processor

import (
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// What blocks, and what is shown then; a block that absorbs is silent.
func TestDiscardLayers(t *testing.T) {
	absorb := &callout{"absorb", func(*Classification) Verdict { return Verdict{Action: Block, Absorb: true} }}
	top := []Sublayer{{"top", 9}}
	for _, c := range []struct {
		layer  Layer
		absorb bool
		show   func(st *stage) bool
		want   string
	}{
		{InboundIPPacket, false, func(st *stage) bool { return st.in(udpOf(there, here)) }, "IN_IPPACKET IN_IPPACKET_DISCARD(filter)"},
		{InboundTransport, false, func(st *stage) bool { return st.in(udpOf(there, here)) }, "IN_IPPACKET IN_TRANSPORT IN_TRANSPORT_DISCARD(filter)"},
		{OutboundTransport, false, func(st *stage) bool { return st.out(tcpOf(here, there, synFlag)) }, "AUTH_CONNECT OUT_TRANSPORT OUT_TRANSPORT_DISCARD(filter)"},
		{OutboundIPPacket, false, func(st *stage) bool { return st.out(tcpOf(here, there, ackFlag)) }, "OUT_TRANSPORT OUT_IPPACKET OUT_IPPACKET_DISCARD(filter)"},
		{ALEAuthConnect, false, func(st *stage) bool { return st.out(tcpOf(here, there, synFlag)) }, "AUTH_CONNECT AUTH_CONNECT_DISCARD(filter)"},
		{ALEAuthRecvAccept, false, func(st *stage) bool { return st.in(tcpOf(there, here, synFlag)) }, "IN_IPPACKET IN_TRANSPORT AUTH_RECV_ACCEPT AUTH_RECV_ACCEPT_DISCARD(filter)"},
		{DatagramData, false, func(st *stage) bool { return st.out(udpOf(here, there)) }, "AUTH_CONNECT FLOW_ESTABLISHED DATAGRAM_DATA DATAGRAM_DATA_DISCARD(filter)"},
		{IPForward, false, func(st *stage) bool { return st.show(divertdrv.NetworkForward, true, udpOf(here, there)) }, "IPFORWARD IPFORWARD_DISCARD(filter)"},
		{InboundTransport, true, func(st *stage) bool { return st.in(udpOf(there, here)) }, "IN_IPPACKET IN_TRANSPORT"},
	} {
		f := Filter{Name: "block", Layer: c.layer, Sublayer: "top", Action: ActionBlock}
		if c.absorb {
			f.Action, f.Callout = ActionCalloutTerminating, absorb
		}
		st := newStage(t)
		pol, err := NewPolicy(top, append(st.s.filters(), f))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.p.Apply(pol); err != nil {
			t.Fatal(err)
		}
		if c.show(st) {
			t.Errorf("%v: the packet passes", c.layer)
		}
		st.check([]string{c.want})
	}
}

// Blocking at TRANSPORT_DISCARD suppresses the RST, at IPPACKET_DISCARD the port unreachable ("Management Filtering Layer Identifiers").
func TestBlockingAtADiscardLayerSuppressesTheAnswer(t *testing.T) {
	st := newStage(t,
		Filter{Name: "no-rst", Layer: InboundTransport.Discard(), Weight: 1, Action: ActionBlock},
		Filter{Name: "no-icmp", Layer: InboundIPPacket.Discard(), Weight: 1, Action: ActionBlock})
	st.in(tcpOf(there, here, synFlag))
	if st.out(tcpOf(here, there, wire.RST|ackFlag)) {
		t.Error("the RST leaves")
	}
	asked := udpOf(there, here)
	st.in(asked)
	if st.out(must(craft.Unreachable(asked, headersOf(asked), netip.Addr{}, craft.PortUnreachable))) {
		t.Error("the port unreachable leaves")
	}
}

// A flow that is refused at its opening is none: the next packet is asked about again, and nothing of it goes past.
func TestRefusedFlows(t *testing.T) {
	st := newStage(t, Filter{Name: "no", Layer: ALEAuthConnect, Weight: 1, Action: ActionBlock})
	if st.out(tcpOf(here, there, synFlag)) || st.out(tcpOf(here, there, ackFlag)) || st.out(tcpOf(here, there, synFlag)) {
		t.Error("a packet of a TCP flow that was refused passes")
	}
	if st.out(udpOf(here, there)) || st.out(udpOf(here, there)) || st.in(udpOf(there, here)) == false {
		t.Error("a datagram of a flow that was refused passes, or one that opens a flow of its own does not")
	}
	got := st.p.Stats()
	if n := got.Filters[0].Blocked; n != 4 || got.Refused != 1 {
		t.Errorf("blocked %d times, want 4: each SYN and each datagram; refused %d, want 1: what is no SYN", n, got.Refused)
	}
	st.swap()
	if !st.out(tcpOf(here, there, synFlag)) {
		t.Error("a policy that permits does not let the flow open")
	}
}

// A live flow that a new policy does not want ends, and goes on when a later one wants it again.
func TestReauthorisation(t *testing.T) {
	for _, outbound := range []bool{true, false} {
		st := newStage(t)
		open := func() bool { return st.out(udpOf(here, there)) }
		layer := ALEAuthConnect
		if !outbound {
			open, layer = func() bool { return st.in(udpOf(there, here)) }, ALEAuthRecvAccept
		}
		if !open() {
			t.Fatal("the flow does not open")
		}
		block := policyOf(t, Filter{Name: "no", Layer: layer, Action: ActionBlock})
		if _, err := st.p.Apply(block); err != nil {
			t.Fatal(err)
		}
		if st.out(udpOf(here, there)) || st.in(udpOf(there, here)) {
			t.Errorf("outbound %v: a packet passes that the new policy does not want", outbound)
		}
		if n := st.p.Stats().Refused; n != 1 {
			t.Errorf("refused %d without asking, want 1", n)
		}
		if _, err := st.p.Apply(policyOf(t)); err != nil {
			t.Fatal(err)
		}
		if !st.out(udpOf(here, there)) || !st.in(udpOf(there, here)) {
			t.Errorf("outbound %v: the flow does not go on", outbound)
		}
	}
}
