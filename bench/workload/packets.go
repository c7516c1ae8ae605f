// Package workload makes what is measured: packets, rules and filters, always the same for a seed. Weir's scenarios and the peers in
// their own module make them with this code, each by itself, so nothing has to be sent between them.
package workload

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// Port is the destination port of the packets of a Ring.
const Port = 443

// target is the network that the packets of a Ring go to; the last of Rules names it.
var target = netip.MustParsePrefix("203.0.113.0/24")

// Ring returns n TCP packets of that size in bytes (IPv4, 40 to 65,535; IPv6, 60 and more), each of another flow, with right
// checksums: from 10.0.0.0/8 or 2001:db8:1::/48 to port Port.
func Ring(seed uint64, n, size int, v6 bool) ([][]byte, error) {
	r := rand.New(rand.NewPCG(seed, uint64(size)))
	ring := make([][]byte, n)
	for i := range ring {
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}), uint16(1024+i))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(r.Uint32())}), Port)
		headers := 40
		if v6 {
			src, dst = sixth(src), sixth(dst)
			headers = 60
		}
		if size < headers || size > 65_535 {
			return nil, fmt.Errorf("packets of %d bytes: want %d to 65535", size, headers)
		}
		payload := make([]byte, size-headers)
		for j := range payload {
			payload[j] = byte(r.Uint32())
		}
		pkt, err := craft.TCP(src, dst, craft.Segment{Flags: wire.ACK | wire.PSH, Seq: r.Uint32(), Ack: r.Uint32(), Window: 512}, payload)
		if err != nil {
			return nil, err
		}
		ring[i] = pkt
	}
	return ring, nil
}

// sixth is the same endpoint in 2001:db8:1::/48.
func sixth(a netip.AddrPort) netip.AddrPort {
	b := [16]byte{0x20, 1, 0xd, 0xb8, 0, 1}
	v4 := a.Addr().As4()
	copy(b[12:], v4[:])
	return netip.AddrPortFrom(netip.AddrFrom16(b), a.Port())
}

// A Digest says what was found in packets: variants that do the same work come to the same.
type Digest struct{ sum uint64 }

// Add mixes numbers in, in order.
func (d *Digest) Add(all ...uint64) {
	h := fnv.New64a()
	var b [8]byte
	for _, v := range append([]uint64{d.sum}, all...) {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	d.sum = h.Sum64()
}

// Packet mixes a packet's bytes in.
func (d *Digest) Packet(b []byte) {
	h := fnv.New64a()
	h.Write(b)
	d.Add(uint64(len(b)), h.Sum64())
}

// String is the digest in hexadecimal.
func (d *Digest) String() string { return fmt.Sprintf("%016x", d.sum) }

// ParseCases are the values of parameter packet in scenario parse.
var ParseCases = []string{"v4-60", "v6-80", "v4-1500", "v6-1500", "mixed-1500"}

// ParseRing returns the packets of such a case: one, or 4,096 for mixed ones.
func ParseRing(name string, seed uint64) ([][]byte, error) {
	switch name {
	case "v4-60":
		return Ring(seed, 1, 60, false)
	case "v6-80":
		return Ring(seed, 1, 80, true)
	case "v4-1500":
		return Ring(seed, 1, 1500, false)
	case "v6-1500":
		return Ring(seed, 1, 1500, true)
	case "mixed-1500":
		v4, err := Ring(seed, 2048, 1500, false)
		if err != nil {
			return nil, err
		}
		v6, err := Ring(seed, 2048, 1500, true)
		both := append(v4, v6...)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(both), func(i, j int) { both[i], both[j] = both[j], both[i] })
		return both, err
	}
	return nil, fmt.Errorf("no packets are called %q: want one of %v", name, ParseCases)
}

// MeanLen is the mean length of packets, in bytes.
func MeanLen(ring [][]byte) float64 {
	n := 0
	for _, pkt := range ring {
		n += len(pkt)
	}
	return float64(n) / float64(max(len(ring), 1))
}

// Datagram returns a UDP packet over IPv4 from 10.0.0.1 with so many bytes of payload.
func Datagram(payload int) ([]byte, error) {
	return craft.UDP(netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("198.51.100.7:53"), make([]byte, payload))
}
