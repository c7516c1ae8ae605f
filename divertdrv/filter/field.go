package filter

import "github.com/weirnet/weir/divertdrv/addr"

// fieldID is WinDivert's number of a field, which its compiled objects contain.
type fieldID uint8

// The fields of WinDivert 2.2 in its order.
const (
	fZero fieldID = iota
	fInbound
	fOutbound
	fIfIdx
	fSubIfIdx
	fIP
	fIPv6
	fICMP
	fTCP
	fUDP
	fICMPv6
	fIPHdrLength
	fIPTOS
	fIPLength
	fIPID
	fIPDF
	fIPMF
	fIPFragOff
	fIPTTL
	fIPProtocol
	fIPChecksum
	fIPSrcAddr
	fIPDstAddr
	fIPv6TrafficClass
	fIPv6FlowLabel
	fIPv6Length
	fIPv6NextHdr
	fIPv6HopLimit
	fIPv6SrcAddr
	fIPv6DstAddr
	fICMPType
	fICMPCode
	fICMPChecksum
	fICMPBody
	fICMPv6Type
	fICMPv6Code
	fICMPv6Checksum
	fICMPv6Body
	fTCPSrcPort
	fTCPDstPort
	fTCPSeqNum
	fTCPAckNum
	fTCPHdrLength
	fTCPUrg
	fTCPAck
	fTCPPsh
	fTCPRst
	fTCPSyn
	fTCPFin
	fTCPWindow
	fTCPChecksum
	fTCPUrgPtr
	fTCPPayloadLength
	fUDPSrcPort
	fUDPDstPort
	fUDPLength
	fUDPChecksum
	fUDPPayloadLength
	fLoopback
	fImpostor
	fProcessID
	fLocalAddr
	fRemoteAddr
	fLocalPort
	fRemotePort
	fProtocol
	fEndpointID
	fParentEndpointID
	fLayer
	fPriority
	fEvent
	fPacket
	fPacket16
	fPacket32
	fTCPPayload
	fTCPPayload16
	fTCPPayload32
	fUDPPayload
	fUDPPayload16
	fUDPPayload32
	fLength
	fTimestamp
	fRandom8
	fRandom16
	fRandom32
	fFragment
	fTrue // this and the next are words of the text; no object contains them
	fFalse

	numDriverFields = fTrue
)

// layerSet is a set of layers, one bit each.
type layerSet uint8

const (
	onNetwork layerSet = 1 << addr.Network
	onForward layerSet = 1 << addr.NetworkForward
	onFlow    layerSet = 1 << addr.LayerFlow
	onSocket  layerSet = 1 << addr.LayerSocket
	onReflect layerSet = 1 << addr.LayerReflect

	onPackets   = onNetwork | onForward
	onEndpoints = onFlow | onSocket
	onLocal     = onNetwork | onEndpoints
	onAll       = onPackets | onEndpoints | onReflect
)

func (s layerSet) has(l addr.Layer) bool { return l < addr.Layers && s>>l&1 != 0 }

// list returns the layers of the set in WinDivert's order.
func (s layerSet) list() []addr.Layer {
	var layers []addr.Layer
	for l := range addr.Layer(addr.Layers) {
		if s.has(l) {
			layers = append(layers, l)
		}
	}
	return layers
}
