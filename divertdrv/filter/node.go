package filter

import (
	"math"

	"github.com/weirnet/weir/divertdrv/wire"
)

// A fact is a yes or no about a packet or event. All facts of it are gathered once, in one word.
const (
	factAlways   = 1 << wire.NoTransport // set for all, so that what needs no header needs this
	factTCP      = 1 << wire.TCP
	factUDP      = 1 << wire.UDP
	factICMP     = 1 << wire.ICMP
	factICMPv6   = 1 << wire.ICMPv6
	factIPv4     = 1 << 5
	factIPv6     = 1 << 6
	factFragment = 1 << 7
	factOutbound = 1 << 8
	factInbound  = 1 << 9
	factLoopback = 1 << 10
	factImpostor = 1 << 11

	headerFactsMask = factAlways | factTCP | factUDP | factICMP | factICMPv6 | factIPv4 | factIPv6
)

// facts of fields that are one.
var factOf = map[fieldID]uint32{
	fTCP: factTCP, fUDP: factUDP, fICMP: factICMP, fICMPv6: factICMPv6, fIP: factIPv4, fIPv6: factIPv6, fFragment: factFragment,
	fOutbound: factOutbound, fInbound: factInbound, fLoopback: factLoopback, fImpostor: factImpostor,
}

// class says how a node gets at the value of its field.
type class uint8

const (
	classFact          class = iota // a bit of the facts
	classIP                         // 32 bits of the IP header
	classTransport                  // 32 bits of the transport header
	classPayloadLength              // bytes behind the transport header
	classPacket                     // what else is known of a packet
	classIndexed                    // a word of the packet or its payload
	classAddress                    // an address as 128 bits
	classEvent                      // event, timestamp, zero: at all layers
	classFlow                       // data of the FLOW and SOCKET layers
	classReflect                    // data of the REFLECT layer
)

// node is one step of the program that Match runs: it loads its field and goes on by the interval that the value is in.
type node struct {
	lo, span      uint64 // without a table: in if value-lo <= span, else out
	need          uint32 // facts, one of which must hold, or the packet has no such field
	mask          uint32 // the bits of the field among those loaded, where they are part of a word
	off           int32  // byte offset in the header, or of the indexed word
	in, out, none uint16
	table         int16 // into code.tables, of classAddress into code.wide; -1: none
	class         class
	field         fieldID
	shift         uint8 // the field's value stands in the word shifted left by this; so does the interval
}

// place is where a field of a header is: in the 32 big-endian bits at off, so that one kind of load serves all.
type place struct {
	off   int32
	shift uint8
	mask  uint32 // before the shift
}

const (
	mask8  = math.MaxUint8
	mask16 = math.MaxUint16
	mask32 = math.MaxUint32
)

var places = map[fieldID]place{
	fIPHdrLength: {0, 24, 0xf},
	fIPTOS:       {0, 16, mask8},
	fIPLength:    {0, 0, mask16},
	fIPID:        {4, 16, mask16},
	fIPDF:        {4, 14, 1},
	fIPMF:        {4, 13, 1},
	fIPFragOff:   {4, 0, 0x1fff},
	fIPTTL:       {8, 24, mask8},
	fIPProtocol:  {8, 16, mask8},
	fIPChecksum:  {8, 0, mask16},
	fIPSrcAddr:   {12, 0, mask32},
	fIPDstAddr:   {16, 0, mask32},

	fIPv6TrafficClass: {0, 20, mask8},
	fIPv6FlowLabel:    {0, 0, 0xfffff},
	fIPv6Length:       {4, 16, mask16},
	fIPv6NextHdr:      {4, 8, mask8},
	fIPv6HopLimit:     {4, 0, mask8},

	fICMPType:       {0, 24, mask8},
	fICMPCode:       {0, 16, mask8},
	fICMPChecksum:   {0, 0, mask16},
	fICMPBody:       {4, 0, mask32},
	fICMPv6Type:     {0, 24, mask8},
	fICMPv6Code:     {0, 16, mask8},
	fICMPv6Checksum: {0, 0, mask16},
	fICMPv6Body:     {4, 0, mask32},

	fTCPSrcPort:   {0, 16, mask16},
	fTCPDstPort:   {0, 0, mask16},
	fTCPSeqNum:    {4, 0, mask32},
	fTCPAckNum:    {8, 0, mask32},
	fTCPHdrLength: {12, 28, 0xf},
	fTCPUrg:       {12, 21, 1},
	fTCPAck:       {12, 20, 1},
	fTCPPsh:       {12, 19, 1},
	fTCPRst:       {12, 18, 1},
	fTCPSyn:       {12, 17, 1},
	fTCPFin:       {12, 16, 1},
	fTCPWindow:    {12, 0, mask16},
	fTCPChecksum:  {16, 16, mask16},
	fTCPUrgPtr:    {16, 0, mask16},

	fUDPSrcPort:  {0, 16, mask16},
	fUDPDstPort:  {0, 0, mask16},
	fUDPLength:   {4, 16, mask16},
	fUDPChecksum: {4, 0, mask16},
}

// always says that every packet or event has a value for the node.
func (n *node) always() bool { return n.need == factAlways && n.class != classIndexed }
