package processor

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// The order in which a packet visits layers is that of WFP's documentation ("TCP Packet Flows", "UDP Packet Flows", "Layers for
// forwarded traffic"):
//
//	out, TCP: connect  ALE_AUTH_CONNECT, OUTBOUND_TRANSPORT, OUTBOUND_IPPACKET
//	out, TCP           OUTBOUND_TRANSPORT, OUTBOUND_IPPACKET
//	out, UDP: first    ALE_AUTH_CONNECT, ALE_FLOW_ESTABLISHED, DATAGRAM_DATA, OUTBOUND_TRANSPORT, OUTBOUND_IPPACKET
//	out, UDP           DATAGRAM_DATA, OUTBOUND_TRANSPORT, OUTBOUND_IPPACKET
//	in, TCP: SYN       INBOUND_IPPACKET, INBOUND_TRANSPORT, ALE_AUTH_RECV_ACCEPT
//	in, TCP: completes INBOUND_IPPACKET, INBOUND_TRANSPORT, ALE_FLOW_ESTABLISHED
//	in, UDP: first     INBOUND_IPPACKET, INBOUND_TRANSPORT, ALE_AUTH_RECV_ACCEPT, ALE_FLOW_ESTABLISHED, DATAGRAM_DATA
//	in, fragments      INBOUND_IPPACKET
//	forwarded          IPFORWARD
//	ICMP errors        OUTBOUND_ICMP_ERROR, OUTBOUND_TRANSPORT, … and …, INBOUND_TRANSPORT, INBOUND_ICMP_ERROR
//
// A divert driver sees packets only, so some of this is synthesised: connect is classified when the SYN comes, and that nobody
// listens at a port is known when this host answers with a RST or a port unreachable: the discard layer that WFP shows for the
// packet before is visited then, ahead of the answer, and blocking there suppresses the answer.

const walkMax = 8

// walk is the layers that a packet visits, in order.
type walk struct {
	layers [walkMax]Layer
	n      int
}

func (w *walk) visit(l Layer) {
	w.layers[w.n] = l
	w.n++
}

// of makes w the walk of a packet. What cannot be decoded, and fragments, are shown at the packet layers only.
func (w *walk) of(p *divertdrv.Packet, h *wire.Headers, f *Flow, s steps) {
	w.n = 0
	whole := h.Version != 0 && !h.Fragment
	switch {
	case p.Addr.Layer() == divertdrv.NetworkForward:
		w.visit(IPForward)
	case p.Addr.Outbound():
		if whole {
			w.outbound(p, h, f, s)
		}
		w.visit(OutboundIPPacket)
	default:
		w.visit(InboundIPPacket)
		if whole {
			w.visit(InboundTransport)
			w.upper(p, h, f, s, InboundICMPError)
		}
	}
}

func (w *walk) outbound(p *divertdrv.Packet, h *wire.Headers, f *Flow, s steps) {
	switch {
	case s.has(stepNoListener):
		w.visit(InboundTransport.Discard())
	case portUnreachable(h, p.Data):
		w.visit(InboundIPPacket.Discard())
	}
	w.upper(p, h, f, s, OutboundICMPError)
	w.visit(OutboundTransport)
}

// upper are the layers above transport.
func (w *walk) upper(p *divertdrv.Packet, h *wire.Headers, f *Flow, s steps, errors Layer) {
	if s.has(stepAuth) {
		w.visit(f.authLayer())
	}
	if s.has(stepEstablished) {
		w.visit(ALEFlowEstablished)
	}
	switch {
	case h.ICMPError(p.Data):
		w.visit(errors)
	case h.Transport == wire.UDP || h.Transport == wire.ICMP || h.Transport == wire.ICMPv6:
		w.visit(DatagramData)
	}
}
