package inject_test

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

// shape is a packet as gopacket builds it, checksums included.
type shape struct {
	v6                 bool
	proto              uint8 // ICMP stands for ICMPv6 too
	ipOptions, options int   // words of four bytes, 0..10; of IPv4 and of TCP
	payload, off       int   // bytes; off: from an address that is a multiple of 16
}

var shapes = rapid.Custom(func(t *rapid.T) shape {
	return shape{
		v6:        rapid.Bool().Draw(t, "IPv6"),
		proto:     rapid.SampledFrom([]uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP}).Draw(t, "protocol"),
		ipOptions: rapid.IntRange(0, 10).Draw(t, "words of IP options"),
		options:   rapid.IntRange(0, 10).Draw(t, "words of TCP options"),
		payload:   rapid.IntRange(0, 1401).Draw(t, "payload"),
		off:       rapid.IntRange(0, 15).Draw(t, "offset"),
	}
})

func (s shape) build(t testing.TB) []byte {
	t.Helper()
	payload := make(gopacket.Payload, s.payload)
	for i := range payload {
		payload[i] = byte(i*7 + 1)
	}
	proto := layers.IPProtocol(s.proto)
	var network gopacket.NetworkLayer
	ip4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{198, 51, 100, 2}}
	for range 4 * s.ipOptions {
		ip4.Options = append(ip4.Options, layers.IPv4Option{OptionType: 1, OptionLength: 1})
	}
	network = ip4
	if s.v6 {
		if s.proto == wire.ProtoICMP {
			proto = layers.IPProtocolICMPv6
		}
		network = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: bytes.Repeat([]byte{0x20, 1, 0xd, 0xb8}, 4), DstIP: bytes.Repeat([]byte{0x20, 1, 0xd, 0xb9}, 4)}
	}
	buf := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{network.(gopacket.SerializableLayer)}, s.transport(t, network)...)
	opts := gopacket.SerializeOptions{ComputeChecksums: true, FixLengths: true}
	if err := gopacket.SerializeLayers(buf, opts, append(all, payload)...); err != nil {
		t.Fatal(err)
	}
	return at(buf.Bytes(), s.off)
}

func (s shape) transport(t testing.TB, network gopacket.NetworkLayer) []gopacket.SerializableLayer {
	t.Helper()
	tcp := &layers.TCP{SrcPort: 1000, DstPort: 2000, Seq: 7, ACK: true, Window: 99}
	for range 4 * s.options {
		tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
	}
	udp, icmp6 := &layers.UDP{SrcPort: 1000, DstPort: 2000}, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
	for _, l := range []interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}{tcp, udp, icmp6} {
		if err := l.SetNetworkLayerForChecksum(network); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case s.proto == wire.ProtoTCP:
		return []gopacket.SerializableLayer{tcp}
	case s.proto == wire.ProtoUDP:
		return []gopacket.SerializableLayer{udp}
	case s.v6:
		return []gopacket.SerializableLayer{icmp6, &layers.ICMPv6Echo{Identifier: 3, SeqNumber: 4}}
	}
	return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 3, Seq: 4}}
}

// at copies b to an address that is off bytes past a multiple of 16.
func at(b []byte, off int) []byte {
	block := make([]byte, len(b)+32)
	start := int(-uintptr(unsafe.Pointer(&block[0]))%16) + off
	return block[start : start+copy(block[start:], b) : start+len(b)]
}

// plan is what is done to a packet before it is injected.
type plan struct {
	shape
	path            inject.Path
	final           bool   // the Address calls all checksums so
	staleIP, damage uint16 // added to the checksum fields beforehand
	edit            bool   // TTL, addresses and payload change
	grow            int    // bytes, -2..9
}

var plans = rapid.Custom(func(t *rapid.T) plan {
	mostly0 := rapid.OneOf(rapid.Just(uint16(0)), rapid.Uint16Range(1, 0xfffe))
	return plan{
		shape: shapes.Draw(t, "shape"), path: inject.Path(rapid.IntRange(0, 2).Draw(t, "path")), final: rapid.Bool().Draw(t, "final"),
		staleIP: mostly0.Draw(t, "stale IP checksum"), damage: mostly0.Draw(t, "damage"),
		edit: rapid.Bool().Draw(t, "edit"), grow: rapid.IntRange(-2, 9).Draw(t, "grow"),
	}
})

// packet builds the packet and does it all.
func (p plan) packet(t testing.TB) *divertdrv.Packet {
	t.Helper()
	b := p.build(t)
	var h wire.Headers
	wire.Parse(b, &h)
	damage(b[10:], p.staleIP, !p.v6)
	sum := map[wire.Transport]uint32{wire.TCP: 16, wire.UDP: 6, wire.ICMP: 2, wire.ICMPv6: 2}[h.Transport]
	damage(b[h.TransportOff+sum:], p.damage, true)
	var a divertdrv.Address
	a.SetChecksums(p.final)
	pkt := divertdrv.NewPacket(a, b)
	if !p.edit {
		return pkt
	}
	pkt.Edit()[h.HeaderLen-1]++ // an option or the last byte of the destination
	if n := len(b) + p.grow; n >= int(h.PayloadOff) {
		if err := pkt.Resize(n); err != nil {
			t.Fatal(err)
		}
	}
	for i := int(h.PayloadOff); i < len(pkt.Data); i++ {
		pkt.Data[i] += byte(i)
	}
	return pkt
}

// damage adds to a checksum in one's complement, where 0 and 0xffff are the same.
func damage(field []byte, by uint16, there bool) {
	if !there || by == 0 {
		return
	}
	sum := uint32(field[0])<<8 | uint32(field[1]) + uint32(by)
	sum = sum>>16 + sum&0xffff
	field[0], field[1] = byte(sum>>8), byte(sum)
}

// wants says which checksums must be right afterwards; exempt: UDP's is or becomes 0, which says that there is none.
func (p plan) wants() (ip, transport bool) {
	ip = p.v6 || p.path == inject.Receive || !p.final || p.staleIP == 0
	hasFlag := p.proto != wire.ProtoICMP // the Address has no flag for ICMP: its checksum is always final
	return ip, p.damage == 0 || hasFlag && !p.final
}
