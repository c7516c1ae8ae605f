package wire_test

import (
	"encoding/binary"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// shape is a packet in words; build makes bytes of it with gopacket, whose checksums are right.
type shape struct {
	v6        bool
	transport wire.Transport
	src, dst  []byte // 4 or 16 bytes
	sport     uint16
	dport     uint16
	ttl, tos  uint8
	id        uint16
	df        bool
	options   []byte // of IPv4 or TCP, a multiple of 4
	extend    []extension
	payload   []byte
}

// extension is an IPv6 extension header whose first byte build fills in.
type extension struct {
	proto uint8
	bytes []byte
}

func shapes() *rapid.Generator[shape] {
	return rapid.Custom(func(t *rapid.T) shape {
		s := shape{
			v6:        rapid.Bool().Draw(t, "v6"),
			transport: wire.Transport(rapid.IntRange(1, 3).Draw(t, "transport")),
			sport:     rapid.Uint16().Draw(t, "sport"),
			dport:     rapid.Uint16().Draw(t, "dport"),
			ttl:       rapid.Uint8().Draw(t, "ttl"),
			tos:       rapid.Uint8().Draw(t, "tos"),
			id:        rapid.Uint16().Draw(t, "id"),
			df:        rapid.Bool().Draw(t, "df"),
			payload:   rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "payload"),
		}
		size := 4
		if s.v6 {
			size = 16
			s.extend = rapid.SliceOfN(extensions(), 0, 3).Draw(t, "extensions")
			if s.transport == wire.ICMP {
				s.transport = wire.ICMPv6
			}
		}
		s.src = rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "src")
		s.dst = rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "dst")
		s.options = make([]byte, 4*rapid.IntRange(0, 10).Draw(t, "options"))
		for i := range s.options {
			s.options[i] = wire.OptNop
		}
		return s
	})
}

func extensions() *rapid.Generator[extension] {
	return rapid.Custom(func(t *rapid.T) extension {
		proto := rapid.SampledFrom([]uint8{
			wire.ProtoHopByHop, wire.ProtoDestOpts, wire.ProtoRouting, wire.ProtoMobility, wire.ProtoAH,
		}).Draw(t, "proto")
		if proto == wire.ProtoAH { // length in words of 4 bytes, less 2
			n := rapid.IntRange(2, 6).Draw(t, "words") * 2
			return extension{proto, append([]byte{0, uint8(n - 2)}, make([]byte, n*4-2)...)}
		}
		n := rapid.IntRange(1, 4).Draw(t, "words") // of 8 bytes, less 1
		return extension{proto, append([]byte{0, uint8(n - 1)}, make([]byte, n*8-2)...)}
	})
}

// packets are whole, right packets of all shapes.
func packets() *rapid.Generator[[]byte] { return rapid.Map(shapes(), shape.build) }

// build makes the packet.
func (s shape) build() []byte {
	var ip gopacket.SerializableLayer
	var pseudo gopacket.NetworkLayer
	proto := map[wire.Transport]layers.IPProtocol{
		wire.TCP: layers.IPProtocolTCP, wire.UDP: layers.IPProtocolUDP,
		wire.ICMP: layers.IPProtocolICMPv4, wire.ICMPv6: layers.IPProtocolICMPv6,
	}[s.transport]
	if s.v6 {
		l := &layers.IPv6{
			Version: 6, TrafficClass: s.tos, FlowLabel: uint32(s.id), NextHeader: proto, HopLimit: s.ttl,
			SrcIP: net.IP(s.src), DstIP: net.IP(s.dst),
		}
		ip, pseudo = l, l
	} else {
		l := &layers.IPv4{
			Version: 4, TOS: s.tos, Id: s.id, TTL: s.ttl, Protocol: proto, SrcIP: net.IP(s.src), DstIP: net.IP(s.dst),
		}
		if s.df {
			l.Flags = layers.IPv4DontFragment
		}
		if s.transport != wire.TCP {
			l.Options = nops4(len(s.options))
		}
		ip, pseudo = l, l
	}
	if s.transport == wire.ICMPv6 { // gopacket's layer ends before identifier and sequence number
		s.payload = append([]byte{byte(s.dport >> 8), byte(s.dport), byte(s.id >> 8), byte(s.id)}, s.payload...)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, s.upper(pseudo), gopacket.Payload(s.payload))
	if err != nil {
		panic(err)
	}
	return s.insert(buf.Bytes())
}

// upper is the transport layer.
func (s shape) upper(pseudo gopacket.NetworkLayer) gopacket.SerializableLayer {
	switch s.transport {
	case wire.TCP:
		l := &layers.TCP{
			SrcPort: layers.TCPPort(s.sport), DstPort: layers.TCPPort(s.dport), Seq: uint32(s.id) * 65537, Ack: uint32(s.sport) * 77,
			SYN: s.id&1 != 0, ACK: s.id&2 != 0, FIN: s.id&4 != 0, PSH: s.id&8 != 0, URG: s.id&16 != 0, ECE: s.id&32 != 0,
			CWR: s.id&64 != 0, NS: s.id&128 != 0, RST: s.id&256 != 0, Window: s.id ^ s.dport, Urgent: s.id,
		}
		for range s.options {
			l.Options = append(l.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
		}
		must(l.SetNetworkLayerForChecksum(pseudo))
		return l
	case wire.UDP:
		l := &layers.UDP{SrcPort: layers.UDPPort(s.sport), DstPort: layers.UDPPort(s.dport)}
		must(l.SetNetworkLayerForChecksum(pseudo))
		return l
	case wire.ICMP:
		return &layers.ICMPv4{TypeCode: layers.ICMPv4TypeCode(s.sport), Id: s.dport, Seq: s.id}
	default:
		l := &layers.ICMPv6{TypeCode: layers.ICMPv6TypeCode(s.sport)}
		must(l.SetNetworkLayerForChecksum(pseudo))
		return l
	}
}

// insert puts the extension headers behind the IPv6 header; transport checksums do not cover them.
func (s shape) insert(b []byte) []byte {
	if len(s.extend) == 0 {
		return b
	}
	next := b[6]
	var chain []byte
	for i := len(s.extend) - 1; i >= 0; i-- {
		x := append([]byte{next}, s.extend[i].bytes[1:]...)
		next = s.extend[i].proto
		chain = append(x, chain...)
	}
	b = append(append(append([]byte{}, b[:40]...), chain...), b[40:]...)
	b[6] = next
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

func nops4(n int) (opts []layers.IPv4Option) {
	for range n {
		opts = append(opts, layers.IPv4Option{OptionType: wire.OptNop})
	}
	return opts
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// decoded is what gopacket finds in a packet.
type decoded struct {
	ip4  *layers.IPv4
	ip6  *layers.IPv6
	tcp  *layers.TCP
	udp  *layers.UDP
	icmp *layers.ICMPv4
	ic6  *layers.ICMPv6
}

func decode(b []byte) decoded {
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.DecodeOptions{})
	var d decoded
	d.ip4, _ = p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	d.ip6, _ = p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	d.tcp, _ = p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	d.udp, _ = p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	d.icmp, _ = p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	d.ic6, _ = p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	return d
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// parse fails the test if b is no IP packet.
func parse(t rapid.TB, b []byte) *wire.Headers {
	t.Helper()
	var h wire.Headers
	if !wire.Parse(b, &h) {
		t.Fatalf("Parse refused % x", b)
	}
	return &h
}

// sized is a packet for tables and benchmarks, n bytes long.
func sized(v6 bool, tr wire.Transport, n int) []byte {
	s := shape{
		v6: v6, transport: tr, src: []byte{10, 0, 0, 1}, dst: []byte{192, 0, 2, 9}, sport: 40000, dport: 443, ttl: 64, id: 7, df: true,
	}
	if v6 {
		s.src, s.dst = net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8:ffff::2")
	}
	s.payload = make([]byte, n-len(s.build()))
	for i := range s.payload {
		s.payload[i] = byte(i * 7)
	}
	return s.build()
}
