package filter

import (
	"math"

	"github.com/weirnet/weir/divertdrv/addr"
)

// fieldInfo is what the compiler knows of a field.
type fieldInfo struct {
	name   string
	layers layerSet
	values interval // the values that it can have, by which WinDivert folds comparisons
	doc    string
}

// interval is the numbers from lo to hi, both included.
type interval struct{ lo, hi number }

func to(hi uint64) interval         { return interval{hi: unsigned(hi)} }
func between(lo, hi int64) interval { return interval{signed(lo), signed(hi)} }

var (
	bit   = to(1)
	u8    = to(math.MaxUint8)
	u16   = to(math.MaxUint16)
	u32   = to(math.MaxUint32)
	u64   = to(math.MaxUint64)
	u128s = interval{hi: number{mag: maxU128}}
	ipv4  = interval{unsigned(mappedPrefix), unsigned(mappedPrefix | math.MaxUint32)}
)

// fields is the table of all fields, in the order of their numbers.
var fields = [...]fieldInfo{
	fZero:             {"zero", onAll, to(0), "always 0"},
	fInbound:          {"inbound", onLocal, bit, "1 if the packet comes to this host, or the flow or socket event was started by the other side"},
	fOutbound:         {"outbound", onLocal, bit, "1 if the packet leaves this host, or the flow or socket event was started here"},
	fIfIdx:            {"ifIdx", onPackets, u32, "interface index"},
	fSubIfIdx:         {"subIfIdx", onPackets, u32, "sub-interface index"},
	fIP:               {"ip", onPackets | onEndpoints, bit, "1 if IPv4"},
	fIPv6:             {"ipv6", onPackets | onEndpoints, bit, "1 if IPv6"},
	fICMP:             {"icmp", onPackets | onEndpoints, bit, "1 if ICMP (IPv4), with its whole header in this packet"},
	fTCP:              {"tcp", onPackets | onEndpoints, bit, "1 if TCP, with its whole header in this packet"},
	fUDP:              {"udp", onPackets | onEndpoints, bit, "1 if UDP, with its whole header in this packet"},
	fICMPv6:           {"icmpv6", onPackets | onEndpoints, bit, "1 if ICMPv6 (IPv6), with its whole header in this packet"},
	fIPHdrLength:      {"ip.HdrLength", onPackets, to(15), "IPv4 header length in 32-bit words, 5 to 15"},
	fIPTOS:            {"ip.TOS", onPackets, u16, "IPv4 type of service, 0 to 255"},
	fIPLength:         {"ip.Length", onPackets, u16, "IPv4 total length in bytes"},
	fIPID:             {"ip.Id", onPackets, u16, "IPv4 identification"},
	fIPDF:             {"ip.DF", onPackets, bit, "IPv4 don't-fragment flag"},
	fIPMF:             {"ip.MF", onPackets, bit, "IPv4 more-fragments flag"},
	fIPFragOff:        {"ip.FragOff", onPackets, to(0x1fff), "IPv4 fragment offset in units of 8 bytes"},
	fIPTTL:            {"ip.TTL", onPackets, u8, "IPv4 time to live"},
	fIPProtocol:       {"ip.Protocol", onPackets, u8, "IPv4 protocol number"},
	fIPChecksum:       {"ip.Checksum", onPackets, u16, "IPv4 header checksum"},
	fIPSrcAddr:        {"ip.SrcAddr", onPackets, ipv4, "IPv4 source address"},
	fIPDstAddr:        {"ip.DstAddr", onPackets, ipv4, "IPv4 destination address"},
	fIPv6TrafficClass: {"ipv6.TrafficClass", onPackets, u8, "IPv6 traffic class"},
	fIPv6FlowLabel:    {"ipv6.FlowLabel", onPackets, to(0xfffff), "IPv6 flow label"},
	fIPv6Length:       {"ipv6.Length", onPackets, u16, "IPv6 payload length in bytes, extension headers included"},
	fIPv6NextHdr:      {"ipv6.NextHdr", onPackets, u8, "next header of the fixed IPv6 header"},
	fIPv6HopLimit:     {"ipv6.HopLimit", onPackets, u8, "IPv6 hop limit"},
	fIPv6SrcAddr:      {"ipv6.SrcAddr", onPackets, u128s, "IPv6 source address"},
	fIPv6DstAddr:      {"ipv6.DstAddr", onPackets, u128s, "IPv6 destination address"},
	fICMPType:         {"icmp.Type", onPackets, u8, "ICMP type"},
	fICMPCode:         {"icmp.Code", onPackets, u8, "ICMP code"},
	fICMPChecksum:     {"icmp.Checksum", onPackets, u16, "ICMP checksum"},
	fICMPBody:         {"icmp.Body", onPackets, u32, "the 32 bits behind the ICMP checksum"},
	fICMPv6Type:       {"icmpv6.Type", onPackets, u8, "ICMPv6 type"},
	fICMPv6Code:       {"icmpv6.Code", onPackets, u8, "ICMPv6 code"},
	fICMPv6Checksum:   {"icmpv6.Checksum", onPackets, u16, "ICMPv6 checksum"},
	fICMPv6Body:       {"icmpv6.Body", onPackets, u32, "the 32 bits behind the ICMPv6 checksum"},
	fTCPSrcPort:       {"tcp.SrcPort", onPackets, u16, "TCP source port"},
	fTCPDstPort:       {"tcp.DstPort", onPackets, u16, "TCP destination port"},
	fTCPSeqNum:        {"tcp.SeqNum", onPackets, u32, "TCP sequence number"},
	fTCPAckNum:        {"tcp.AckNum", onPackets, u32, "TCP acknowledgement number"},
	fTCPHdrLength:     {"tcp.HdrLength", onPackets, to(15), "TCP header length in 32-bit words, 5 to 15"},
	fTCPUrg:           {"tcp.Urg", onPackets, bit, "TCP URG flag"},
	fTCPAck:           {"tcp.Ack", onPackets, bit, "TCP ACK flag"},
	fTCPPsh:           {"tcp.Psh", onPackets, bit, "TCP PSH flag"},
	fTCPRst:           {"tcp.Rst", onPackets, bit, "TCP RST flag"},
	fTCPSyn:           {"tcp.Syn", onPackets, bit, "TCP SYN flag"},
	fTCPFin:           {"tcp.Fin", onPackets, bit, "TCP FIN flag"},
	fTCPWindow:        {"tcp.Window", onPackets, u16, "TCP window, not scaled"},
	fTCPChecksum:      {"tcp.Checksum", onPackets, u16, "TCP checksum"},
	fTCPUrgPtr:        {"tcp.UrgPtr", onPackets, u16, "TCP urgent pointer"},
	fTCPPayloadLength: {"tcp.PayloadLength", onPackets, u16, "bytes behind the TCP header"},
	fUDPSrcPort:       {"udp.SrcPort", onPackets, u16, "UDP source port"},
	fUDPDstPort:       {"udp.DstPort", onPackets, u16, "UDP destination port"},
	fUDPLength:        {"udp.Length", onPackets, u16, "length in the UDP header, which it includes"},
	fUDPChecksum:      {"udp.Checksum", onPackets, u16, "UDP checksum, 0: none"},
	fUDPPayloadLength: {"udp.PayloadLength", onPackets, u16, "bytes behind the UDP header, by the IP length"},
	fLoopback:         {"loopback", onLocal, u32, "1 if both ends are this host"},
	fImpostor:         {"impostor", onPackets, u32, "1 if another driver or program injected the packet"},
	fProcessID:        {"processId", onEndpoints | onReflect, u32, "process that owns the socket or handle"},
	fLocalAddr:        {"localAddr", onLocal, u128s, "address of this host's end; IPv4 is ::ffff:a.b.c.d"},
	fRemoteAddr:       {"remoteAddr", onLocal, u128s, "address of the other end; IPv4 is ::ffff:a.b.c.d"},
	fLocalPort:        {"localPort", onLocal, u16, "TCP or UDP port of this host's end; of ICMP sent from here: its type"},
	fRemotePort:       {"remotePort", onLocal, u16, "TCP or UDP port of the other end; of ICMP sent to here: its type"},
	fProtocol:         {"protocol", onLocal, u8, "IP protocol number, behind IPv6 extension headers"},
	fEndpointID:       {"endpointId", onEndpoints, u64, "number of the socket or flow endpoint"},
	fParentEndpointID: {"parentEndpointId", onEndpoints, u64, "number of the endpoint that this one came from, 0: none"},
	fLayer:            {"layer", onReflect, to(uint64(addr.LayerReflect)), "layer of the handle"},
	fPriority:         {"priority", onReflect, between(addr.PriorityLowest, addr.PriorityHighest), "priority of the handle, -30000 to 30000"},
	fEvent:            {"event", onAll, to(uint64(addr.EventClosed)), "what happened, as a macro of the layer"},
	fPacket:           {"packet", onPackets, u8, "byte [i] of the packet, from its IP header"},
	fPacket16:         {"packet16", onPackets, u16, "16-bit big-endian word [i] of the packet, from its IP header"},
	fPacket32:         {"packet32", onPackets, u32, "32-bit big-endian word [i] of the packet, from its IP header"},
	fTCPPayload:       {"tcp.Payload", onPackets, u8, "byte [i] of the TCP payload"},
	fTCPPayload16:     {"tcp.Payload16", onPackets, u16, "16-bit big-endian word [i] of the TCP payload"},
	fTCPPayload32:     {"tcp.Payload32", onPackets, u32, "32-bit big-endian word [i] of the TCP payload"},
	fUDPPayload:       {"udp.Payload", onPackets, u8, "byte [i] of the UDP payload"},
	fUDPPayload16:     {"udp.Payload16", onPackets, u16, "16-bit big-endian word [i] of the UDP payload"},
	fUDPPayload32:     {"udp.Payload32", onPackets, u32, "32-bit big-endian word [i] of the UDP payload"},
	fLength:           {"length", onPackets, between(20, 40+math.MaxUint16), "length of the packet in bytes, from its IP header"},
	fTimestamp:        {"timestamp", onAll, between(math.MinInt64, math.MaxInt64), "time of the packet or event in ticks of the driver's clock"},
	fRandom8:          {"random8", onPackets, u8, "8 bits derived from headers and timestamp"},
	fRandom16:         {"random16", onPackets, u16, "16 bits derived from headers and timestamp"},
	fRandom32:         {"random32", onPackets, u32, "32 bits derived from headers and timestamp"},
	fFragment:         {"fragment", onPackets, bit, "1 if the packet is a fragment"},
	fTrue:             {"true", onAll, between(1, 1), "always 1"},
	fFalse:            {"false", onAll, to(0), "always 0"},
}

// fieldByName finds a field by its name, which is case-sensitive.
var fieldByName = func() map[string]fieldID {
	m := make(map[string]fieldID, len(fields))
	for id := range fields {
		m[fields[id].name] = fieldID(id)
	}
	return m
}()

// header returns the field that says whether the header which the field is in is there, fZero where it is in none.
func (id fieldID) header() fieldID {
	switch {
	case id >= fIPHdrLength && id <= fIPDstAddr:
		return fIP
	case id >= fIPv6TrafficClass && id <= fIPv6DstAddr:
		return fIPv6
	case id >= fICMPType && id <= fICMPBody:
		return fICMP
	case id >= fICMPv6Type && id <= fICMPv6Body:
		return fICMPv6
	case id >= fTCPSrcPort && id <= fTCPPayloadLength, id >= fTCPPayload && id <= fTCPPayload32:
		return fTCP
	case id >= fUDPSrcPort && id <= fUDPPayloadLength, id >= fUDPPayload && id <= fUDPPayload32:
		return fUDP
	}
	return fZero
}

// size returns the bytes of an indexed word: 1, 2 or 4; 0 where the field takes no index.
func (id fieldID) size() int {
	if id < fPacket || id > fUDPPayload32 {
		return 0
	}
	return 1 << ((id - fPacket) % 3)
}

// folds says whether WinDivert decides comparisons of the field by its values when it compiles.
func (id fieldID) folds() bool {
	switch id {
	case fLoopback, fImpostor, fICMPBody, fICMPv6Body, fTCPSeqNum, fTCPAckNum, fPacket32:
		return false
	}
	return true
}

// words returns how many 32-bit words of a constant WinDivert compares with the field.
func (id fieldID) words() int {
	switch id {
	case fIPSrcAddr, fIPDstAddr, fIPv6SrcAddr, fIPv6DstAddr, fLocalAddr, fRemoteAddr:
		return 4
	case fEndpointID, fParentEndpointID, fTimestamp:
		return 2
	}
	return 1
}
