package processor

import "fmt"

// Layer is a WFP layer, as far as packets that a divert driver sees can be classified there.
type Layer uint8

// The layers, and what is classified there. Names follow FWPM_LAYER_*; one layer stands for both IP versions.
const (
	InboundIPPacket   Layer = iota // every packet to this host, fragments and packets that cannot be decoded too
	InboundTransport               // whole packets to this host
	OutboundTransport              // whole packets from this host, before OutboundIPPacket
	OutboundIPPacket               // every packet from this host
	IPForward                      // packets that this host forwards
	layerCount
)

// Layers is the number of layers.
const Layers = int(layerCount)

var layerNames = [Layers]string{
	"inbound-ippacket", "inbound-transport", "outbound-transport", "outbound-ippacket", "ipforward",
}

// String returns the layer's name as policies write it.
func (l Layer) String() string {
	if l < layerCount {
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
	return 0, fmt.Errorf("unknown layer %q", name)
}

// LayerNames returns the names of all layers in order.
func LayerNames() []string { return layerNames[:] }

// Transport says whether the layer is a transport layer or above, where TCP may not be injected inline.
func (l Layer) Transport() bool { return l == InboundTransport || l == OutboundTransport }

// Outbound says whether packets at the layer leave this host.
func (l Layer) Outbound() bool { return l == OutboundTransport || l == OutboundIPPacket }

// The walks, in the order of WFP's documentation ("TCP Packet Flows", "UDP Packet Flows").
var (
	walkInbound      = []Layer{InboundIPPacket, InboundTransport}
	walkOutbound     = []Layer{OutboundTransport, OutboundIPPacket}
	walkInboundPart  = []Layer{InboundIPPacket}  // fragments: transport layers see whole packets only
	walkOutboundPart = []Layer{OutboundIPPacket} // and so do they on the way out
	walkForward      = []Layer{IPForward}
)
