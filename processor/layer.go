package processor

import (
	"fmt"
	"strings"
)

// Layer is a WFP layer, as far as packets that a divert driver sees can be classified there.
type Layer uint8

// The layers, and what is classified there. Names follow FWPM_LAYER_*; one layer stands for both IP versions. Behind each stands
// its discard layer, see Layer.Discard.
const (
	InboundIPPacket   Layer = iota // every packet to this host, fragments and packets that cannot be decoded too
	InboundTransport               // whole packets to this host
	OutboundTransport              // whole packets from this host, before OutboundIPPacket
	OutboundIPPacket               // every packet from this host
	IPForward                      // packets that this host forwards

	DatagramData       // UDP, and ICMP that is no error, in both directions
	InboundICMPError   // ICMP errors to this host
	OutboundICMPError  // ICMP errors from this host
	ALEAuthConnect     // the first packet of a flow that this host opens; again when the policy changes
	ALEAuthRecvAccept  // the first packet of a flow that the peer opens; again when the policy changes
	ALEFlowEstablished // the packet that completes a TCP handshake, or the first of any other flow

	discards // the first discard layer
)

// Layers is the number of layers, discard layers included.
const Layers = 2 * int(discards)

var layerNames = func() (names [Layers]string) {
	copy(names[:], []string{
		"inbound-ippacket", "inbound-transport", "outbound-transport", "outbound-ippacket", "ipforward",
		"datagram-data", "inbound-icmp-error", "outbound-icmp-error", "ale-auth-connect", "ale-auth-recv-accept", "ale-flow-established",
	})
	for l := range discards {
		names[l+discards] = names[l] + "-discard"
	}
	return names
}()

// String returns the layer's name as policies write it.
func (l Layer) String() string {
	if int(l) < Layers {
		return layerNames[l]
	}
	return fmt.Sprintf("layer(%d)", uint8(l))
}

// ParseLayer reads a layer's name.
func ParseLayer(name string) (Layer, error) {
	for i, n := range layerNames {
		if n == name {
			return Layer(i), nil
		}
	}
	return 0, fmt.Errorf("unknown layer %q; the layers are %s", name, strings.Join(layerNames[:], ", "))
}

// LayerNames returns the names of all layers in order.
func LayerNames() []string { return layerNames[:] }

// Discard is the layer where packets that were discarded at l are shown, with the cause. A block that absorbs shows nothing.
func (l Layer) Discard() Layer {
	if l < discards {
		return l + discards
	}
	return l
}

// IsDiscard says whether l is a discard layer.
func (l Layer) IsDiscard() bool { return l >= discards }

// of is the layer that a discard layer belongs to; any other is its own.
func (l Layer) of() Layer {
	if l >= discards {
		return l - discards
	}
	return l
}

// Transport says whether the layer is a transport layer or above, where TCP may not be injected inline.
func (l Layer) Transport() bool {
	switch l.of() {
	case InboundIPPacket, OutboundIPPacket, IPForward:
		return false
	}
	return true
}

// ALE says whether the layer sees packets by the state of their flow: then a policy needs to see all packets of a flow.
func (l Layer) ALE() bool {
	o := l.of()
	return o == ALEAuthConnect || o == ALEAuthRecvAccept || o == ALEFlowEstablished
}

// Direction says which packets are classified at a layer.
type Direction uint8

// The directions.
const (
	Both Direction = iota
	Inbound
	Outbound
)

// String returns "both", "inbound" or "outbound".
func (d Direction) String() string {
	return [...]string{"both", "inbound", "outbound"}[min(d, Outbound)]
}

// Direction is that of the packets classified at l. Of a flow that the peer opened an outbound packet may be reauthorised at
// ALEAuthRecvAccept, and so on ("ALE Reauthorization").
func (l Layer) Direction() Direction {
	switch l.of() {
	case InboundIPPacket, InboundTransport, InboundICMPError:
		return Inbound
	case OutboundIPPacket, OutboundTransport, OutboundICMPError, IPForward:
		return Outbound
	}
	return Both
}
