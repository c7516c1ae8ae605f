package rewrite

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// spec is a packet as gopacket builds it: the outside witness for what a rewritten packet looks like.
type spec struct {
	src, dst         string
	proto            layers.IPProtocol
	srcPort, dstPort uint16
	ttl              uint8
	payload          string
	noChecksum       bool // UDP over IPv4 without one
}

func (s spec) build(t testing.TB) []byte {
	t.Helper()
	var ip gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	if netip.MustParseAddr(s.src).Is4() {
		h := &layers.IPv4{Version: 4, IHL: 5, TTL: s.ttl, Protocol: s.proto, Id: 77, SrcIP: net.ParseIP(s.src), DstIP: net.ParseIP(s.dst)}
		ip, network = h, h
	} else {
		h := &layers.IPv6{Version: 6, HopLimit: s.ttl, NextHeader: s.proto, SrcIP: net.ParseIP(s.src), DstIP: net.ParseIP(s.dst)}
		ip, network = h, h
	}
	all := append([]gopacket.SerializableLayer{ip}, s.transport(t, network)...)
	buf := gopacket.NewSerializeBuffer()
	all = append(all, gopacket.Payload(s.payload))
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()
	if s.noChecksum {
		b[26], b[27] = 0, 0
	}
	return b
}

func (s spec) transport(t testing.TB, network gopacket.NetworkLayer) []gopacket.SerializableLayer {
	t.Helper()
	set := func(l interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	},
	) {
		if err := l.SetNetworkLayerForChecksum(network); err != nil {
			t.Fatal(err)
		}
	}
	switch s.proto {
	case layers.IPProtocolTCP:
		l := &layers.TCP{
			SrcPort: layers.TCPPort(s.srcPort), DstPort: layers.TCPPort(s.dstPort), Seq: 1000, Ack: 2000, ACK: true, PSH: true, Window: 500,
			Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}},
		}
		set(l)
		return []gopacket.SerializableLayer{l}
	case layers.IPProtocolUDP:
		l := &layers.UDP{SrcPort: layers.UDPPort(s.srcPort), DstPort: layers.UDPPort(s.dstPort)}
		set(l)
		return []gopacket.SerializableLayer{l}
	case layers.IPProtocolICMPv4:
		return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 5, Seq: 6}}
	case layers.IPProtocolICMPv6:
		l := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
		set(l)
		return []gopacket.SerializableLayer{l}
	}
	return nil
}

func (s spec) with(change func(s *spec)) spec {
	change(&s)
	return s
}

var (
	tcp4 = spec{src: "10.0.0.1", dst: "10.0.0.2", proto: layers.IPProtocolTCP, srcPort: 4000, dstPort: 80, ttl: 64, payload: "hello weir, hello"}
	udp4 = spec{src: "10.0.0.1", dst: "10.0.0.2", proto: layers.IPProtocolUDP, srcPort: 4000, dstPort: 7, ttl: 64, payload: "hello weir"}
	tcp6 = spec{src: "fd00::1", dst: "fd00::2", proto: layers.IPProtocolTCP, srcPort: 4000, dstPort: 80, ttl: 64, payload: "hello weir, hello"}
	udp6 = spec{src: "fd00::1", dst: "fd00::2", proto: layers.IPProtocolUDP, srcPort: 4000, dstPort: 7, ttl: 64, payload: "hello weir"}

	icmp4 = spec{src: "10.0.0.1", dst: "10.0.0.2", proto: layers.IPProtocolICMPv4, ttl: 64, payload: "hello weir"}
	icmp6 = spec{src: "fd00::1", dst: "fd00::2", proto: layers.IPProtocolICMPv6, ttl: 64, payload: "\x00\x05\x00\x06hello weir"}
)
