package inject

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/weirnet/weir/divertdrv/wire"
)

// fingerprint is what a packet is known by when it comes back: a hash of what a re-injector leaves alone, and the identification.
type fingerprint struct {
	print uint64
	id    uint16 // of IPv4, 0: not set yet
}

// same says whether both are of one packet. A raw socket sets an identification that is 0 and leaves any other (raw(7)), so one that
// differs tells apart what an application says twice in the same words.
func (f fingerprint) same(g fingerprint) bool {
	return f.print == g.print && (f.id == g.id || f.id == 0 || g.id == 0)
}

const (
	payloadPrinted = 64 // bytes of the payload that count, from its beginning
	maxHeaderLen   = 60 // of TCP, with options
)

// fingerprint reads addresses, the transport header but its checksum, lengths, and the beginning of the payload. TTL, DSCP and
// checksums may change on the way.
func (o *Origins) fingerprint(pkt []byte, h *wire.Headers) (f fingerprint) {
	var key [8 + 32 + maxHeaderLen + payloadPrinted]byte
	payload := h.Payload(pkt)
	binary.LittleEndian.PutUint32(key[:], uint32(len(payload)))
	binary.LittleEndian.PutUint16(key[4:], h.FragOff)
	key[6], key[7] = h.Proto, h.Version
	n := 8
	if h.Version == 4 {
		n += copy(key[n:], pkt[12:20])
		f.id = binary.BigEndian.Uint16(pkt[4:])
	} else {
		n += copy(key[n:], pkt[8:40])
	}
	if sum := sumOffset(h.Transport); sum != 0 {
		t := pkt[h.TransportOff:h.PayloadOff]
		n += copy(key[n:], t[:sum])
		n += copy(key[n:], t[sum+2:])
	}
	n += copy(key[n:], payload[:min(len(payload), payloadPrinted)])
	f.print = maphash.Bytes(o.seed, key[:n])
	return f
}

// sumOffset is where the checksum stands in the transport header; 0: there is none.
func sumOffset(t wire.Transport) int {
	return [...]int{wire.NoTransport: 0, wire.TCP: 16, wire.UDP: 6, wire.ICMP: 2, wire.ICMPv6: 2}[t]
}
