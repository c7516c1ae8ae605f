package filter

import (
	"math/bits"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// world is one of the ways that a packet or event can be, as far as the fields tell that are a yes or no: which headers it has,
// whether it goes out, is loopback, an impostor, a fragment. A set of them says what is still possible behind some tests.
type world uint8

const (
	worldOutbound world = 1 << iota
	worldLoopback
	worldImpostor
	worldFragment
	worldHeadersShift = iota // above: an index into worldHeaders
)

// worldHeaders is the headers that go together. (ICMP is of IPv4, ICMPv6 of IPv6.)
var worldHeaders = [...]struct{ network, transport fieldID }{
	{fIP, fZero},
	{fIP, fTCP},
	{fIP, fUDP},
	{fIP, fICMP},
	{fIPv6, fZero},
	{fIPv6, fTCP},
	{fIPv6, fUDP},
	{fIPv6, fICMPv6},
}

const numWorlds = len(worldHeaders) << worldHeadersShift

// is answers a field that is a yes or no.
func (w world) is(id fieldID) bool {
	switch id {
	case fInbound:
		return w&worldOutbound == 0
	case fOutbound:
		return w&worldOutbound != 0
	case fLoopback:
		return w&worldLoopback != 0
	case fImpostor:
		return w&worldImpostor != 0
	case fFragment:
		return w&worldFragment != 0
	}
	h := worldHeaders[w>>worldHeadersShift]
	return id == h.network || id == h.transport
}

// worlds is a set of them.
type worlds [numWorlds / 64]uint64

func allWorlds() (s worlds) {
	for i := range s {
		s[i] = ^uint64(0)
	}
	return s
}

func (s *worlds) add(w world) { s[w/64] |= 1 << (w % 64) }

func (s worlds) or(o worlds) worlds {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

// each calls f for every world of the set.
func (s worlds) each(f func(w world)) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			f(world(i*64 + bits.TrailingZeros64(word)))
		}
	}
}

// values returns what a field can be in a world; nil for whatever else is known of it. Decoding (package wire) sees to all of it.
func (w world) values(id fieldID) spans {
	h := worldHeaders[w>>worldHeadersShift]
	in := func(lo, hi uint64) spans { return spansOf(id, interval{unsigned(lo), unsigned(hi)}) }
	switch {
	case id == fIPHdrLength:
		return in(wire.IPv4HeaderLen/4, 15)
	case id == fTCPHdrLength:
		return in(wire.TCPHeaderLen/4, 15)
	case id == fLength:
		return in(headerBytes[h.network]+headerBytes[h.transport], wire.MaxPacketLen)
	case id == fProtocol && h.transport != fZero, id == fIPProtocol && h.transport != fZero:
		return in(transportNumber[h.transport], transportNumber[h.transport])
	case id == fIPFragOff && (h.transport != fZero || !w.is(fFragment)), id == fIPMF && !w.is(fFragment):
		return in(0, 0) // a later fragment has no transport header
	}
	return nil
}

var (
	headerBytes = map[fieldID]uint64{
		fIP: wire.IPv4HeaderLen, fIPv6: wire.IPv6HeaderLen, fTCP: wire.TCPHeaderLen, fUDP: wire.UDPHeaderLen,
		fICMP: wire.ICMPHeaderLen, fICMPv6: wire.ICMPHeaderLen,
	}
	transportNumber = map[fieldID]uint64{fTCP: wire.ProtoTCP, fUDP: wire.ProtoUDP, fICMP: wire.ProtoICMP, fICMPv6: wire.ProtoICMPv6}
)

// events is what the field event can be at each layer.
var events = [addr.Layers]interval{
	addr.Network:        to(uint64(addr.EventPacket)),
	addr.NetworkForward: to(uint64(addr.EventPacket)),
	addr.LayerFlow:      between(int64(addr.EventEstablished), int64(addr.EventDeleted)),
	addr.LayerSocket:    between(int64(addr.EventBind), int64(addr.EventClose)),
	addr.LayerReflect:   between(int64(addr.EventOpen), int64(addr.EventClosed)),
}
