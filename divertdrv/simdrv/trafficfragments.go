package simdrv

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv/wire"
)

// fragments is a datagram that is under way in pieces.
type fragments struct {
	whole    []byte // the packet before it was split
	header   int    // bytes of it that are IP header
	at       int    // of its payload, what was sent
	id       uint32
	outbound bool
}

func (f *fragments) more() bool { return f.header+f.at < len(f.whole) }

// makeFragments splits a datagram of two to three frames and makes the first piece.
func (t *Traffic) makeFragments() (outbound bool) {
	v6 := t.chance(40)
	src, dst := t.pair(v6)
	f := &t.split
	f.outbound = t.chance(50)
	if !f.outbound {
		src, dst = dst, src
	}
	payload := t.some(1800 + t.rng.IntN(1600))
	t.start(src, dst, wire.ProtoUDP)
	t.addUDP(5001, 5001, len(payload))
	t.add(payload...)
	t.finish() // the transport checksum covers the whole
	f.whole = append(f.whole[:0], t.packet...)
	f.header, f.at, f.id = wire.IPv4HeaderLen, 0, t.rng.Uint32()
	if v6 {
		f.header = wire.IPv6HeaderLen
	}
	return t.nextFragment()
}

// nextFragment makes the next piece: as much as fits, a multiple of 8 bytes but for the last (RFC 791 3.2, RFC 8200 4.5).
func (t *Traffic) nextFragment() (outbound bool) {
	f := &t.split
	v6 := f.header == wire.IPv6HeaderLen
	room := frameMTU - f.header
	if v6 {
		room -= wire.FragmentLen
	}
	rest := f.whole[f.header+f.at:]
	piece := rest[:min(len(rest), room&^7)]
	last := len(piece) == len(rest)
	t.packet = append(t.packet[:0], f.whole[:f.header]...)
	if v6 {
		t.packet[6] = wire.ProtoFragment
		t.add(wire.ProtoUDP, 0)
		t.add16(uint16(f.at) | flag(!last, 1))
		t.add32(f.id)
	} else {
		binary.BigEndian.PutUint16(t.packet[4:], uint16(f.id))
		binary.BigEndian.PutUint16(t.packet[6:], uint16(f.at/8)|flag(!last, 0x2000))
	}
	t.add(piece...)
	t.setLength()
	wire.CalcChecksums(t.packet, wire.NoUDP)
	f.at += len(piece)
	return f.outbound
}

func flag(on bool, bit uint16) uint16 {
	if on {
		return bit
	}
	return 0
}
