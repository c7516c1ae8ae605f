package simdrv

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// echo is the ping that waits for its reply.
type echo struct {
	open          bool
	local, remote netip.Addr
	sequence      uint16
	size          int
}

// makeEcho pings a peer, or has it reply.
func (t *Traffic) makeEcho() (outbound bool) {
	e := &t.ping
	outbound = !e.open
	e.open = outbound
	if outbound {
		e.local, e.remote = t.pair(t.chance(40))
		e.sequence++
		e.size = 16 + t.rng.IntN(48)
	}
	src, dst, proto, kind := e.local, e.remote, byte(wire.ProtoICMP), byte(8)
	if e.local.Is6() {
		proto, kind = wire.ProtoICMPv6, 128
	}
	if !outbound {
		src, dst = dst, src
		kind = map4or6(e.local.Is4(), 0, 129)
	}
	t.start(src, dst, proto)
	t.addEcho(kind, e.sequence, t.noise[:e.size])
	t.finish()
	return outbound
}

func map4or6(is4 bool, v4, v6 byte) byte {
	if is4 {
		return v4
	}
	return v6
}

func (t *Traffic) addEcho(kind byte, sequence uint16, payload []byte) {
	const identifier = 0x1234
	t.add(kind, 0, 0, 0)
	t.add16(identifier)
	t.add16(sequence)
	t.add(payload...)
}
