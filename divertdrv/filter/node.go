package filter

import (
	"math"

	"github.com/weirnet/weir/divertdrv/wire"
)

// A fact is a yes or no about a packet or event. All facts of it are gathered once, in one word; what else stands in that
// word no node asks for.
const (
	factTCP      = 1 << wire.TCP
	factUDP      = 1 << wire.UDP
	factICMP     = 1 << wire.ICMP
	factICMPv6   = 1 << wire.ICMPv6
	factIPv4     = 1 << bitIPv4
	factIPv6     = 1 << bitIPv6
	factFragment = 1 << 7
	factOutbound = 1 << (addressFacts + 1)
	factLoopback = 1 << (addressFacts + 2)
	factImpostor = 1 << (addressFacts + 3)

	bitIPv4          = 5
	bitIPv6          = 6
	addressFacts     = 8 // where the bits of addr.Address.FlagBits stand
	addressFactsMask = (factOutbound | factLoopback | factImpostor) >> addressFacts
	numFacts         = addressFacts + 4
)

// facts of fields that are one. (inbound is the opposite of its fact.)
var factOf = map[fieldID]uint32{
	fTCP: factTCP, fUDP: factUDP, fICMP: factICMP, fICMPv6: factICMPv6, fIP: factIPv4, fIPv6: factIPv6, fFragment: factFragment,
	fOutbound: factOutbound, fInbound: factOutbound, fLoopback: factLoopback, fImpostor: factImpostor,
}

// class says how a node gets at the value of its field.
type class uint8

const (
	classFact          class = iota // there is none but the facts
	classWord                       // bits of 32 in the IP or the transport header
	classPayloadLength              // bytes behind the transport header
	classPacket                     // what else is known of a packet
	classIndexed                    // a word of the packet or its payload
	classAddress                    // an address of 128 bits, by its lower half where the upper one is hi
	classWide                       // an address as 128 bits
	classEvent                      // event, timestamp, zero: at all layers
	classFlow                       // data of the FLOW and SOCKET layers
	classReflect                    // data of the REFLECT layer
)

// source is where a field's value comes from, and so tells what is the same value.
type source struct {
	need  uint32 // the fact that says whether the packet has the field; 0: it always does
	bits  uint32 // the field's bits among those loaded, where it is part of a word; of classFact, its fact
	base  uint32 // of classWord: all ones if off counts from the transport header
	off   int32  // byte offset in the header, or of the indexed word
	class class
	field fieldID
	shift uint8 // the value stands in the word shifted left by this, and so do the intervals of the node
}

// optional says that the packet may lack the field even if the fact that it needs holds.
func (s *source) optional() bool { return s.class == classIndexed }

// node is one step of the program that Match and MatchBatch run. If the facts under mask are not those wanted it goes on at
// none. Else it loads its field, unless it is of classFact, and goes on by the interval that the value is in.
type node struct {
	mask, want    uint32
	lo, span      uint64 // without a table: in if value-lo <= span, else out; with a set: in if it has the value
	hi            uint64 // of classAddress: the upper half of the address, without which the edge is out
	in, out, none uint16
	table         int16 // into code.tables, of classWide into code.wide; -1: none
	source
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
