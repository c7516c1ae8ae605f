package simdrv

import (
	"encoding/binary"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// This file puts packets together: start, what follows, finish.

// start begins the packet with its IP header; lengths and checksums come with finish.
func (t *Traffic) start(src, dst netip.Addr, proto uint8) {
	if src.Is4() {
		t.startIPv4(src, dst, proto, nil)
		return
	}
	t.packet = append(t.packet[:0], 0x60, 0, byte(t.id>>8), byte(t.id), 0, 0, proto, 64)
	t.addAddr(src)
	t.addAddr(dst)
}

// startIPv4 takes options too, a multiple of 4 bytes.
func (t *Traffic) startIPv4(src, dst netip.Addr, proto uint8, options []byte) {
	const dontFragment = 0x40
	words := byte(wire.IPv4HeaderLen+len(options)) / 4
	t.packet = append(t.packet[:0], 0x40|words, 0, 0, 0, byte(t.id>>8), byte(t.id), dontFragment, 0, 64, proto, 0, 0)
	t.addAddr(src)
	t.addAddr(dst)
	t.add(options...)
}

func (t *Traffic) addAddr(a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		t.add(b[:]...)
		return
	}
	b := a.As16()
	t.add(b[:]...)
}

func (t *Traffic) addUDP(src, dst uint16, payload int) {
	t.add16(src)
	t.add16(dst)
	t.add16(uint16(wire.UDPHeaderLen + payload))
	t.add16(0)
}

func (t *Traffic) add16(v uint16) { t.packet = binary.BigEndian.AppendUint16(t.packet, v) }

func (t *Traffic) add32(v uint32) { t.packet = binary.BigEndian.AppendUint32(t.packet, v) }

func (t *Traffic) add(b ...byte) { t.packet = append(t.packet, b...) }

// finish sets lengths and checksums.
func (t *Traffic) finish() {
	t.setLength()
	wire.CalcChecksums(t.packet, 0)
}

func (t *Traffic) setLength() {
	if t.packet[0]>>4 == 4 {
		binary.BigEndian.PutUint16(t.packet[2:], uint16(len(t.packet)))
	} else {
		binary.BigEndian.PutUint16(t.packet[4:], uint16(len(t.packet)-wire.IPv6HeaderLen))
	}
}
