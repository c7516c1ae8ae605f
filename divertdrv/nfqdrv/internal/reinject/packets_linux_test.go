package reinject

import (
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// wrap lets gopacket build an IP packet from src to dst around the layers, with lengths and checksums.
func wrap(t testing.TB, src, dst netip.Addr, proto layers.IPProtocol, edit func(v4 *layers.IPv4, v6 *layers.IPv6),
	inner ...gopacket.SerializableLayer,
) []byte {
	t.Helper()
	v4 := &layers.IPv4{
		Version: 4, TTL: 64, Id: 0x1234, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice(), TOS: 0x10,
	}
	v6 := &layers.IPv6{
		Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice(), TrafficClass: 0x20, FlowLabel: 0x12345,
	}
	if edit != nil {
		edit(v4, v6)
	}
	var ip gopacket.SerializableLayer = v4
	var net gopacket.NetworkLayer = v4
	if src.Is6() {
		ip, net = v6, v6
	}
	for _, l := range inner {
		switch l := l.(type) {
		case *layers.UDP:
			_ = l.SetNetworkLayerForChecksum(net)
		case *layers.TCP:
			_ = l.SetNetworkLayerForChecksum(net)
		case *layers.ICMPv6:
			_ = l.SetNetworkLayerForChecksum(net)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append([]gopacket.SerializableLayer{ip}, inner...)...); err != nil {
		t.Fatal(err)
	}
	return append([]byte{}, buf.Bytes()...)
}

func udp(t testing.TB, src, dst netip.Addr, port int, payload []byte) []byte {
	t.Helper()
	return wrap(t, src, dst, layers.IPProtocolUDP, nil, &layers.UDP{SrcPort: 4000, DstPort: layers.UDPPort(port)}, gopacket.Payload(payload))
}

func tcp(t testing.TB, src, dst netip.Addr) []byte {
	t.Helper()
	return wrap(t, src, dst, layers.IPProtocolTCP, nil,
		&layers.TCP{SrcPort: 4000, DstPort: 5000, Seq: 7, Ack: 9, ACK: true, PSH: true, Window: 100}, gopacket.Payload("stream"))
}

func echo(t testing.TB, src, dst netip.Addr) []byte {
	t.Helper()
	if src.Is4() {
		return wrap(t, src, dst, layers.IPProtocolICMPv4, nil,
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 3, Seq: 1}, gopacket.Payload("echo"))
	}
	return wrap(t, src, dst, layers.IPProtocolICMPv6, nil,
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, &layers.ICMPv6Echo{Identifier: 3, SeqNumber: 1}, gopacket.Payload("echo"))
}

// hops returns the packet with another TTL or hop limit; the checksum is gopacket's.
func hops(t testing.TB, src, dst netip.Addr, n uint8) []byte {
	t.Helper()
	return wrap(t, src, dst, layers.IPProtocolUDP, func(v4 *layers.IPv4, v6 *layers.IPv6) { v4.TTL, v6.HopLimit = n, n },
		&layers.UDP{SrcPort: 4000, DstPort: 5000}, gopacket.Payload("hops"))
}
