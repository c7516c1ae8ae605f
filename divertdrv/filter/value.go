package filter

import (
	"encoding/binary"
	"fmt"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// subject is a packet or event of which Explain reads fields one by one, plainly; Match has faster ways.
type subject struct {
	layer    addr.Layer
	compat22 bool
	a        *addr.Address
	pkt      []byte
	h        *wire.Headers // nil where the layer has no packets
}

// value returns the value of the field that c asks for, or why there is none.
func (s *subject) value(c *comparison) (v number, none string) {
	header := c.field.header()
	switch {
	case header != fZero && !s.is(header):
		return number{}, "no " + headerNames[header] + " header"
	case factOf[c.field] != 0:
		return unsigned(b2u(s.is(c.field))), ""
	case c.field.size() != 0:
		return s.word(c)
	case c.field == fIPv6FlowLabel && s.compat22:
		return unsigned(scrambledFlowLabel(s.pkt)), ""
	case c.field.isIPv4Addr():
		v := s.placed(c.field)
		v.mag.lo |= mappedPrefix
		return v, ""
	}
	if _, ok := places[c.field]; ok {
		return s.placed(c.field), ""
	}
	if s.h != nil {
		return s.packetValue(c.field), ""
	}
	return s.eventValue(c.field), ""
}

var headerNames = map[fieldID]string{fIP: "IPv4", fIPv6: "IPv6", fTCP: "TCP", fUDP: "UDP", fICMP: "ICMP", fICMPv6: "ICMPv6"}

// is answers the fields that are a yes or no.
func (s *subject) is(id fieldID) bool {
	switch id {
	case fInbound:
		return !s.a.Outbound()
	case fOutbound:
		return s.a.Outbound()
	case fLoopback:
		return s.a.Loopback()
	case fImpostor:
		return s.a.Impostor()
	case fFragment:
		return s.h.Fragment
	}
	if s.h == nil {
		return s.isEndpoint(id)
	}
	switch id {
	case fIP:
		return s.h.Version == 4
	case fIPv6:
		return s.h.Version == 6
	}
	return s.h.Transport == map[fieldID]wire.Transport{fTCP: wire.TCP, fUDP: wire.UDP, fICMP: wire.ICMP, fICMPv6: wire.ICMPv6}[id]
}

func (s *subject) isEndpoint(id fieldID) bool {
	v6, proto := s.a.IPv6(), s.a.Flow().Protocol
	switch id {
	case fIP:
		return !v6 && !s.compat22
	case fIPv6:
		return v6 && !s.compat22
	case fICMP:
		return proto == wire.ProtoICMP && !v6
	case fICMPv6:
		return proto == wire.ProtoICMPv6 && v6
	case fTCP:
		return proto == wire.ProtoTCP
	}
	return proto == wire.ProtoUDP
}

// placed reads a field of a header that is there.
func (s *subject) placed(id fieldID) number {
	p, at := places[id], uint32(0)
	if h := id.header(); h != fIP && h != fIPv6 {
		at = s.h.TransportOff
	}
	return unsigned(uint64(binary.BigEndian.Uint32(s.pkt[at+uint32(p.off):]) >> p.shift & p.mask))
}

// word reads an indexed field.
func (s *subject) word(c *comparison) (v number, none string) {
	data, what := s.pkt[:s.h.Len], "packet"
	if c.field.header() != fZero {
		data, what = s.h.Payload(s.pkt), "payload"
	}
	from := c.index
	if from < 0 {
		from += len(data)
	}
	if from < 0 || from+c.field.size() > len(data) {
		return number{}, fmt.Sprintf("the %s has %d bytes", what, len(data))
	}
	for _, b := range data[from : from+c.field.size()] {
		v.mag.lo = v.mag.lo<<8 | uint64(b)
	}
	return v, ""
}

func (s *subject) packetValue(id fieldID) number {
	switch id {
	case fIPv6SrcAddr:
		return number{mag: ipv6At(s.pkt, 8)}
	case fIPv6DstAddr:
		return number{mag: ipv6At(s.pkt, 24)}
	case fLocalAddr, fRemoteAddr:
		if (id == fLocalAddr) == s.a.Outbound() {
			return number{mag: sourceAddr(s.pkt, s.h)}
		}
		return number{mag: destinationAddr(s.pkt, s.h)}
	case fLocalPort:
		return unsigned(port(s.a.Outbound(), s.pkt, s.h))
	case fRemotePort:
		return unsigned(port(!s.a.Outbound(), s.pkt, s.h))
	case fTCPPayloadLength, fUDPPayloadLength:
		return unsigned(uint64(s.h.PayloadLen()))
	case fIfIdx:
		return unsigned(uint64(s.a.IfIdx()))
	case fSubIfIdx:
		return unsigned(uint64(s.a.SubIfIdx()))
	case fProtocol:
		return unsigned(uint64(s.h.Proto))
	case fLength:
		return unsigned(uint64(s.h.Len))
	case fRandom8:
		return unsigned(random(s.a, s.pkt, s.h) >> 48 & mask8)
	case fRandom16:
		return unsigned(random(s.a, s.pkt, s.h) >> 32 & mask16)
	case fRandom32:
		return unsigned(random(s.a, s.pkt, s.h) & mask32)
	}
	return s.eventValue(id)
}

func (s *subject) eventValue(id fieldID) number {
	switch id {
	case fZero:
		return number{}
	case fEvent:
		return unsigned(uint64(s.a.Event()))
	case fTimestamp:
		return signed(s.a.Timestamp)
	}
	if s.layer == addr.LayerReflect {
		return s.handleValue(id)
	}
	f := s.a.Flow()
	switch id {
	case fLocalAddr:
		hi, lo := s.a.LocalWords()
		return number{mag: u128{hi, lo}}
	case fRemoteAddr:
		hi, lo := s.a.RemoteWords()
		return number{mag: u128{hi, lo}}
	case fLocalPort:
		return unsigned(uint64(f.Local.Port()))
	case fRemotePort:
		return unsigned(uint64(f.Remote.Port()))
	case fProcessID:
		return unsigned(uint64(f.ProcessID))
	case fProtocol:
		return unsigned(uint64(f.Protocol))
	case fEndpointID:
		return unsigned(f.EndpointID)
	}
	return unsigned(f.ParentEndpointID)
}

func (s *subject) handleValue(id fieldID) number {
	r := s.a.Reflect()
	switch id {
	case fLayer:
		return unsigned(uint64(r.Layer))
	case fPriority:
		return signed(int64(r.Priority))
	}
	return unsigned(uint64(r.ProcessID))
}
