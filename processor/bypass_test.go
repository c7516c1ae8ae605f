package processor

import (
	"testing"

	"github.com/weirnet/weir/divertdrv/wire"
)

// No packet that ALE is not shown opens the way for those behind it.
func TestNothingGoesPastALE(t *testing.T) {
	block := Filter{Name: "no", Layer: ALEAuthRecvAccept, Weight: 1, Action: ActionBlock}
	first := udpOf(there, here)
	first[6] |= 0x20 // more fragments
	wire.CalcChecksums(first, 0)
	st := newStage(t, block)
	if !st.in(first) || st.in(udpOf(there, here)) {
		t.Error("behind a first fragment a datagram passes that is not allowed to, or the fragment does not")
	}
	if st.in(first) {
		t.Error("a fragment of a flow passes that was refused")
	}
	st = newStage(t, block)
	if !st.in(tcpOf(there, here, ackFlag)) || st.in(tcpOf(there, here, synFlag)) {
		t.Error("behind a stray ACK a SYN passes that is not allowed to")
	}
	st = newStage(t)
	st.in(udpOf(there, here))
	if _, err := st.p.Apply(policyOf(t, block)); err != nil {
		t.Fatal(err)
	}
	if st.in(first); st.in(udpOf(there, here)) {
		t.Error("a fragment takes the place of the packet that is to be authorised again")
	}
}

// A flow that was refused later on may be opened anew, and what was dropped in between changed nothing.
func TestARefusedFlowCanBeOpenedAnew(t *testing.T) {
	st := newStage(t)
	st.in(tcpOf(there, here, synFlag))
	if _, err := st.p.Apply(policyOf(t, Filter{Name: "no", Layer: ALEAuthRecvAccept, When: when(t, "tcp.Fin or tcp.Ack"), Action: ActionBlock})); err != nil {
		t.Fatal(err)
	}
	if st.out(tcpOf(here, there, synAck)) || st.in(tcpOf(there, here, wire.RST)) {
		t.Error("a packet of a flow passes that the new policy does not want")
	}
	if !st.in(tcpOf(there, here, synFlag)) || !st.out(tcpOf(here, there, synAck)) {
		t.Error("a SYN does not open the flow anew")
	}
}
