package simdrv

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// census counts what a Traffic makes and puts its fragments together.
type census struct {
	t                              *testing.T
	seen                           map[gopacket.LayerType]int
	parts                          map[uint32][]byte
	outbound, fragments, datagrams int
}

// TestTrafficIsWhole has gopacket, the outside witness, decode every packet, and sums it up the naive way.
func TestTrafficIsWhole(t *testing.T) {
	c := &census{t: t, seen: map[gopacket.LayerType]int{}, parts: map[uint32][]byte{}}
	src := NewTraffic(1, 8000)
	for a, data, err := src.Next(); !errors.Is(err, io.EOF); a, data, err = src.Next() {
		c.add(a, data)
	}
	if c.outbound < 2400 || c.outbound > 5600 {
		t.Errorf("%d of 8000 outbound", c.outbound)
	}
	for _, want := range []gopacket.LayerType{
		layers.LayerTypeTCP, layers.LayerTypeUDP, layers.LayerTypeDNS, layers.LayerTypeICMPv4, layers.LayerTypeICMPv6,
		layers.LayerTypeIPv6Fragment, layers.LayerTypeIPv6HopByHop, layers.LayerTypeIPv6Destination, layers.LayerTypeIPv6Routing,
		layers.LayerTypeIPSecAH, layers.LayerTypeIPSecESP,
	} {
		if c.seen[want] < 20 {
			t.Errorf("%v: %d packets, want 20 at least", want, c.seen[want])
		}
	}
	if c.datagrams < 50 || c.fragments < 2*c.datagrams {
		t.Errorf("%d datagrams in %d fragments", c.datagrams, c.fragments)
	}
}

func (c *census) add(a *divertdrv.Address, data []byte) {
	c.t.Helper()
	first := layers.LayerTypeIPv4
	if a.IPv6() {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(data, first, gopacket.NoCopy)
	if e := p.ErrorLayer(); e != nil || len(data) > frameMTU {
		c.t.Fatalf("%d bytes, %v\n%x", len(data), e, data)
	}
	if a.Outbound() {
		c.outbound++
	}
	for _, l := range p.Layers() {
		c.seen[l.LayerType()]++
	}
	checkLengths(c.t, data)
	checkSums(c.t, p, data)
	if id, piece, last, ok := fragmentOf(data); ok {
		c.fragments++
		c.parts[id] = append(c.parts[id], piece...)
		if last {
			c.datagrams++
			checkDatagram(c.t, data, c.parts[id])
			delete(c.parts, id) // identifiers come again
		}
	}
}

func checkLengths(t *testing.T, data []byte) {
	t.Helper()
	var h wire.Headers
	if !wire.Parse(data, &h) || int(h.Total) != len(data) {
		t.Fatalf("IP length %d of %d bytes: %x", h.Total, len(data), data)
	}
}

// checkSums compares the packet with what gopacket makes of its layers. Fragments and the datagram without a checksum have
// none of their own.
func checkSums(t *testing.T, p gopacket.Packet, data []byte) {
	t.Helper()
	if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
		header := append([]byte(nil), data[:ip.IHL*4]...)
		if sum := naiveSum(header); sum != 0xffff {
			t.Fatalf("IPv4 header sums to %#x: %x", sum, data)
		}
		if ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
			return
		}
	}
	if p.Layer(layers.LayerTypeIPv6Fragment) != nil {
		return
	}
	payload, proto, ok := transport(p)
	if !ok {
		return
	}
	sum := naiveSum(append(pseudo(p, proto, len(payload)), payload...))
	if sum != 0xffff {
		t.Fatalf("protocol %d sums to %#x: %x", proto, sum, data)
	}
}

// transport returns the bytes that the transport checksum covers.
func transport(p gopacket.Packet) (b []byte, proto byte, ok bool) {
	for _, l := range p.Layers() {
		whole := append(append([]byte(nil), l.LayerContents()...), l.LayerPayload()...)
		switch l := l.(type) {
		case *layers.TCP:
			return whole, 6, true
		case *layers.UDP:
			return whole, 17, l.Checksum != 0
		case *layers.ICMPv4:
			return whole, 1, true
		case *layers.ICMPv6:
			return whole, 58, true
		}
	}
	return nil, 0, false
}

func pseudo(p gopacket.Packet, proto byte, n int) []byte {
	if proto == 1 {
		return nil
	}
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	b := append(append([]byte(nil), src.Raw()...), dst.Raw()...)
	return append(b, 0, proto, byte(n>>8), byte(n))
}

// naiveSum is the ones' complement sum of RFC 1071, two bytes at a time.
func naiveSum(b []byte) uint32 {
	var sum uint32
	for i, v := range b {
		if i%2 == 0 {
			sum += uint32(v) << 8
		} else {
			sum += uint32(v)
		}
		sum = sum&0xffff + sum>>16
	}
	return sum
}

func fragmentOf(data []byte) (id uint32, piece []byte, last, ok bool) {
	var h wire.Headers
	wire.Parse(data, &h)
	if !h.Fragment {
		return 0, nil, false, false
	}
	if h.Version == 4 {
		id = uint32(data[4])<<8 | uint32(data[5])
		return id, data[h.HeaderLen:], !h.MoreFrags, true
	}
	return h.FragmentHeaderOf(data).ID(), data[48:], !h.MoreFrags, true
}

// checkDatagram verifies the UDP checksum over a datagram that was put together again.
func checkDatagram(t *testing.T, last, whole []byte) {
	t.Helper()
	addrs := last[12:20]
	if last[0]>>4 == 6 {
		addrs = last[8:40]
	}
	n := len(whole)
	b := append(bytes.Clone(addrs), 0, 17, byte(n>>8), byte(n))
	if sum := naiveSum(append(b, whole...)); sum != 0xffff {
		t.Fatalf("datagram of %d bytes sums to %#x", n, sum)
	}
}

func TestTrafficRepeats(t *testing.T) {
	a, b, c := NewTraffic(7, 500), NewTraffic(7, 500), NewTraffic(8, 500)
	differs := false
	for range 500 {
		aa, ad, _ := a.Next()
		ba, bd, _ := b.Next()
		_, cd, _ := c.Next()
		if *aa != *ba || !bytes.Equal(ad, bd) {
			t.Fatal("the same seed made two packets")
		}
		differs = differs || !bytes.Equal(ad, cd)
	}
	if _, _, err := a.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
	if !differs {
		t.Error("another seed made the same packets")
	}
}

func TestTrafficAllocatesNothing(t *testing.T) {
	src := NewTraffic(3, 0)
	if n := testing.AllocsPerRun(5000, func() { _, _, _ = src.Next() }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkTraffic(b *testing.B) {
	src := NewTraffic(3, 0)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = src.Next()
	}
}
