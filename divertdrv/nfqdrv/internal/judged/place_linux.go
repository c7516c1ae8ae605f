package judged

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Places is how many there are that flows are hashed to.
const Places = 1 << 14

const mixer = 0x9e3779b97f4a7c15

// mixed is one step of the hash: h is spread, then folded.
func mixed(h, word uint64) uint64 {
	h = (h ^ word) * mixer
	return h ^ h>>32
}

// PlaceOf is the place where the program counted a packet. It reads what the program reads, and no more: both must always come to
// the same place.
func (t *Table) PlaceOf(data []byte) uint16 {
	return uint16(t.hash(data) % Places)
}

func (t *Table) hash(data []byte) uint64 {
	h := t.seed
	if len(data) < wire.IPv4HeaderLen {
		return h
	}
	var words [4]uint64
	proto, version, off := data[9], uint64(4), int(data[0]&0xf)<<2
	if data[0]>>4 == 6 {
		if len(data) < wire.IPv6HeaderLen {
			return h
		}
		for i := range words {
			words[i] = binary.BigEndian.Uint64(data[8+8*i:])
		}
		proto, version, off = data[6], 6, wire.IPv6HeaderLen
	} else {
		const mapped = 0xffff << 32 // as wire.FlowKey has it
		words[1] = mapped | uint64(binary.BigEndian.Uint32(data[12:]))
		words[3] = mapped | uint64(binary.BigEndian.Uint32(data[16:]))
		if binary.BigEndian.Uint16(data[6:])&0x3fff != 0 { // a fragment
			proto = 0
		}
	}
	for _, w := range words {
		h = mixed(h, w)
	}
	need := 0
	switch proto {
	case wire.ProtoTCP:
		need = wire.TCPHeaderLen
	case wire.ProtoUDP:
		need = wire.UDPHeaderLen
	}
	if need == 0 || len(data) < off+need {
		return h
	}
	ports := uint64(binary.BigEndian.Uint32(data[off:]))
	return mixed(h, ports<<32|uint64(proto)<<8|version)
}
