package lower_test

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/weirnet/weir/divertdrv/wire"
)

// dice makes random packets and filters.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0))} }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d dice) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if d.chance(70) {
			b[i] = byte(d.IntN(256))
		}
	}
	return b
}

// packet returns a random packet: mostly well formed, at times cut, lengthened, or damaged.
func (d dice) packet() []byte {
	v6 := d.chance(50)
	transport, proto := d.transport(v6)
	if d.chance(4) {
		transport = nil
	}
	var b []byte
	if v6 {
		b = d.ipv6(proto, transport)
	} else {
		b = d.ipv4(proto, transport)
	}
	switch d.IntN(12) {
	case 0:
		b = b[:d.IntN(len(b))+1]
	case 1:
		b = append(b, d.bytes(1+d.IntN(9))...)
	case 2:
		for range 1 + d.IntN(4) {
			b[d.IntN(min(len(b), 80))] = byte(d.IntN(256))
		}
	}
	return b
}

// like returns a packet that has most bytes of b.
func (d dice) like(b []byte) []byte {
	b = append([]byte(nil), b...)
	for range d.IntN(3) {
		b[d.IntN(min(len(b), 70))] ^= byte(1 << d.IntN(8))
	}
	return b
}

func (d dice) transport(v6 bool) (b []byte, proto byte) {
	icmp := byte(wire.ProtoICMP)
	if v6 != d.chance(5) {
		icmp = wire.ProtoICMPv6
	}
	proto = []byte{6, 6, 6, 17, 17, icmp, icmp, icmp, 50, 59, 200}[d.IntN(11)]
	if proto == wire.ProtoTCP {
		b = d.bytes(20)
		binary.BigEndian.PutUint16(b, []uint16{80, 443, 53, 40000}[d.IntN(4)])
		binary.BigEndian.PutUint16(b[2:], []uint16{80, 443, 53, 40000}[d.IntN(4)])
		words := 5 + d.IntN(4)*d.IntN(2)
		b = append(b, d.bytes((words-5)*4)...)
		if d.chance(5) {
			words = d.IntN(16)
		}
		b[12] = byte(words<<4 | d.IntN(16))
	} else {
		b = d.bytes(8)
		b[0] &= 3
	}
	size := d.IntN(40)
	if d.chance(5) {
		size = d.IntN(3000)
	}
	return append(b, d.bytes(size)...), proto
}

func (d dice) ipv4(proto byte, payload []byte) []byte {
	words := 5 + d.IntN(3)*d.IntN(2)
	b := d.bytes(words * 4)
	b[0] = byte(0x40 | words)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(payload)))
	switch d.IntN(8) {
	case 0: // any fragment
	case 1:
		b[6], b[7] = 0x20, 0 // the first one
	default:
		b[6], b[7] = b[6]&0x40, 0
	}
	b[9] = proto
	copy(b[12:], []byte{10, 0, 0, byte(d.IntN(3)), 10, 0, 0, byte(d.IntN(3))})
	return append(b, payload...)
}

func (d dice) ipv6(next byte, payload []byte) []byte {
	b := d.bytes(40)
	for _, at := range []int{8, 24} {
		copy(b[at:], []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(d.IntN(3))})
		if d.chance(10) { // IPv4 mapped
			copy(b[at:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0})
		}
	}
	headers := d.IntN(4) * d.IntN(2)
	if d.chance(3) {
		headers = d.IntN(24)
	}
	for range headers {
		kind := []byte{0, 43, 44, 51, 60, 135}[d.IntN(6)]
		payload, next = append(d.extension(kind, next), payload...), kind
	}
	b[0], b[6] = 0x60|b[0]&15, next
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	return append(b, payload...)
}

func (d dice) extension(kind, next byte) []byte {
	h := d.bytes(8)
	h[0], h[1] = next, byte(d.IntN(3)*d.IntN(2))
	switch kind {
	case wire.ProtoFragment:
		h[1] = byte(d.IntN(256))
		if d.chance(60) {
			h[2], h[3] = 0, h[3]&7
		}
		return h
	case wire.ProtoAH:
		return append(h, d.bytes(int(h[1])*4)...)
	}
	return append(h, d.bytes(int(h[1])*8)...)
}

// maxRun is the longest packet that BPF_PROG_TEST_RUN takes, about: a page, less the room around it.
const maxRun = 3400

// pool is packets to try filters on.
func (d dice) pool(n int) [][]byte {
	pool := make([][]byte, 0, n)
	for len(pool) < n {
		if b := d.packet(); len(b) <= maxRun {
			pool = append(pool, b)
		}
	}
	return pool
}
