package simdrv

import "github.com/weirnet/weir/divertdrv/wire"

// makeExtended makes an IPv6 packet with one to three extension headers before its datagram.
func (t *Traffic) makeExtended() (outbound bool) {
	chain := [...][]byte{{0}, {60}, {0, 60}, {0, 43, 60}, {51}}[t.rng.IntN(5)]
	outbound = t.chance(50)
	src, dst := t.pair(true)
	if !outbound {
		src, dst = dst, src
	}
	t.start(src, dst, chain[0])
	for i, kind := range chain {
		next := byte(wire.ProtoUDP)
		if i+1 < len(chain) {
			next = chain[i+1]
		}
		t.addExtension(kind, next)
	}
	payload := t.some(8 + t.rng.IntN(200))
	t.addUDP(4500, 4500, len(payload))
	t.add(payload...)
	t.finish()
	return outbound
}

// addExtension adds the shortest header of its kind that means something.
func (t *Traffic) addExtension(kind, next byte) {
	switch kind {
	case wire.ProtoAH: // RFC 4302: 4 words in all, less 2
		t.add(next, 2, 0, 0)
		t.add(t.some(12)...)
	case wire.ProtoRouting: // type 0 with no segments left, which nodes skip (RFC 5095 3)
		t.add(next, 0, 0, 0, 0, 0, 0, 0)
	default: // one PadN option of 6 bytes
		t.add(next, 0, 1, 4, 0, 0, 0, 0)
	}
}

// makeOdd makes what is rare and legal.
func (t *Traffic) makeOdd() (outbound bool) {
	local, remote := t.pair(false)
	switch t.rng.IntN(5) {
	case 0: // what nobody on the way can read: ESP (RFC 4303)
		t.start(remote, local, wire.ProtoESP)
		t.add(t.some(8 + 64)...)
	case 1: // IPv4 options: router alert (RFC 2113) on an echo
		t.startIPv4(local, remote, wire.ProtoICMP, []byte{148, 4, 0, 0})
		t.addEcho(8, t.id, t.noise[:24])
		outbound = true
	case 2: // a header and nothing else
		t.start(local, remote, 253)
		outbound = true
	case 3: // a datagram without a checksum (RFC 768)
		t.start(remote, local, wire.ProtoUDP)
		t.addUDP(123, 123, 48)
		t.add(t.some(48)...)
		t.setLength()
		wire.CalcChecksums(t.packet, wire.NoUDP)
		return false
	default: // "no next header", and bytes behind it that nodes pass on unread (RFC 8200 4.7)
		t.start(t.peer(true), local6, wire.ProtoNoNext)
		t.add(t.some(8)...)
	}
	t.finish()
	return outbound
}
