package workload

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Traffic is packets in the forms that engines of filters take, each form in an array as a batch of packets has it.
type Traffic struct {
	Addrs   []addr.Address
	Headers []wire.Headers
	Data    [][]byte
	Views   []filter.View // what stands in the three above, for MatchBatch
	Fields  []Fields
	Raw     [][]byte // the two bytes outbound and loopback, two of padding, and the packet: what BPF sees
}

// Fields is a packet with all that the filters ask, ready to be read.
type Fields struct {
	Outbound, Loopback, TCP, IP bool
	DstPort, PayloadLength      int
	DstAddr                     int
}

// Mixed returns n packets, always the same for a seed: two thirds IPv4, TCP, UDP and ICMP, a third of the ports 443, some
// fragments and IP options, addresses of which some lie in the ranges of Ranges20.
func Mixed(n int, seed uint64) *Traffic {
	r := rand.New(rand.NewPCG(seed, 0))
	t := newTraffic(n)
	for i := range n {
		t.set(i, mixedPacket(r), r.IntN(2) == 0, r.IntN(25) == 0)
	}
	return t
}

// Hot returns the same packet n times, in the same memory: TCP from 192.168.1.2 to 10.x.1.9, port 443, with four bytes of
// payload, outbound.
func Hot(x byte, n int) *Traffic {
	b := ipv4(wire.ProtoTCP, tcp(4000, Port, 4), 0)
	copy(b[12:], []byte{192, 168, 1, 2, 10, x, 1, 9})
	t := newTraffic(n)
	for i := range n {
		t.set(i, b, true, false)
		t.Raw[i], t.Views[i] = t.Raw[0], t.Views[0]
	}
	return t
}

func newTraffic(n int) *Traffic {
	return &Traffic{
		make([]addr.Address, n), make([]wire.Headers, n), make([][]byte, n), make([]filter.View, n), make([]Fields, n), make([][]byte, n),
	}
}

func (t *Traffic) set(i int, b []byte, outbound, loopback bool) {
	a, h, f := &t.Addrs[i], &t.Headers[i], &t.Fields[i]
	a.SetOutbound(outbound)
	a.SetLoopback(loopback)
	wire.Parse(b, h)
	t.Data[i], t.Views[i] = b, filter.View{Addr: a, Data: b, Headers: h}
	f.Outbound, f.Loopback = outbound, loopback
	f.TCP, f.IP = h.Transport == wire.TCP, h.Version == 4
	if f.TCP {
		f.DstPort = int(binary.BigEndian.Uint16(b[h.TransportOff+2:]))
		f.PayloadLength = h.PayloadLen()
	}
	if f.IP {
		f.DstAddr = int(binary.BigEndian.Uint32(b[16:]))
	}
	t.Raw[i] = append([]byte{bit(outbound), bit(loopback), 0, 0}, b...)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// mixedPacket makes one packet.
func mixedPacket(r *rand.Rand) []byte {
	size := 0
	if r.IntN(4) > 0 {
		size = r.IntN(1200)
	}
	port := uint16(Port)
	if r.IntN(3) > 0 {
		port = []uint16{80, 53, 22, 8080, 5060, uint16(r.IntN(65536))}[r.IntN(6)]
	}
	proto, body := byte(wire.ProtoTCP), tcp(uint16(1024+r.IntN(60000)), port, size)
	switch r.IntN(10) {
	case 6, 7, 8:
		proto, body = wire.ProtoUDP, udp(port, size)
	case 9:
		proto, body = wire.ProtoICMP, make([]byte, 8+size)
	}
	if r.IntN(3) == 0 {
		return ipv6(proto, body, r)
	}
	options := 0
	if r.IntN(30) == 0 {
		options = 4 * (1 + r.IntN(3))
	}
	b := ipv4(proto, body, options)
	copy(b[12:], []byte{192, 168, byte(r.IntN(4)), byte(r.IntN(256)), 10, byte(r.IntN(40)), byte(r.IntN(3)), byte(r.IntN(256))})
	if r.IntN(40) == 0 {
		binary.BigEndian.PutUint16(b[6:], uint16(r.IntN(100))) // a fragment, often a later one
	}
	return b
}

func tcp(from, to uint16, size int) []byte {
	b := make([]byte, 20+size)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	b[12], b[13] = 5<<4, 0x18
	return b
}

func udp(to uint16, size int) []byte {
	b := make([]byte, 8+size)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	return b
}

func ipv4(proto byte, body []byte, options int) []byte {
	b := make([]byte, 20+options, 20+options+len(body))
	b[0] = 4<<4 | byte(len(b)/4)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(body)))
	b[8], b[9] = 64, proto
	return append(b, body...)
}

func ipv6(proto byte, body []byte, r *rand.Rand) []byte {
	if proto == wire.ProtoICMP {
		proto = wire.ProtoICMPv6
	}
	b := make([]byte, 40, 40+len(body))
	b[0], b[6], b[7] = 6<<4, proto, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
	copy(b[8:], []byte{0x20, 1, 0xd, 0xb8})
	copy(b[24:], []byte{0x20, 1, 0xd, 0xb8, 0, byte(r.IntN(256))})
	return append(b, body...)
}
