package frag

import (
	"strconv"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Limit is what a packet has to fit, and what may be done to make it fit.
type Limit struct {
	MTU int // of the link, in bytes, IP header included

	// MSS is the payload of a segment of a super-packet in bytes, as whoever made it meant it. 0: the packet is none; TCP may be
	// cut into segments all the same, as long as the MTU allows.
	MSS int

	// Sender says that this host is the packet's source, or acts for it: only a source may fragment IPv6 (RFC 8200 5).
	Sender bool

	// IgnoreDF cuts IPv4 in spite of DF, which the fragments keep. It is for packets that were joined here from fragments with
	// DF, which must leave as such; with an MTU of at most Result.Largest.
	IgnoreDF bool

	// ID is the identification of the fragments: of IPv6, and of an IPv4 packet whose own is 0. It must not be one that
	// fragments between the same hosts had in the last minute (RFC 6864 4.3, RFC 8200 4.5), and should not be easy to guess (RFC
	// 7739).
	ID uint32
}

// Fitness is how a packet can be sent within a Limit.
type Fitness uint8

// The ways to send a packet.
const (
	AsIs        Fitness = iota // it fits
	BySegments                 // as several TCP or UDP packets
	ByFragments                // as fragments
	TooBig                     // not at all: its sender is to be told the MTU, or it has to become shorter
)

// String returns the way in words.
func (f Fitness) String() string {
	if f > TooBig {
		return "fitness(" + strconv.Itoa(int(f)) + ")"
	}
	return [...]string{"as is", "by segments", "by fragments", "too big"}[f]
}

// Fit says how the packet with headers h can be sent. TCP goes by segments rather than by fragments, whatever DF says: each is a
// packet of its own that the receiver takes as if the sender had made it. UDP does so only where the caller knows by its MSS
// that the packet stands for several.
func Fit(pkt []byte, h *wire.Headers, l Limit) Fitness {
	if !whole(pkt, h) {
		return TooBig
	}
	if int(h.Len) <= l.MTU {
		return AsIs
	}
	if segmentable(pkt, h) && segmentSize(h, l) > 0 {
		return BySegments
	}
	if _, err := plan(pkt, h, l); err == nil {
		return ByFragments
	}
	return TooBig
}

// segmentSize is the payload of a segment in bytes; 0: there is none that fits.
func segmentSize(h *wire.Headers, l Limit) int {
	room := max(l.MTU-int(h.PayloadOff), 0)
	switch {
	case h.Transport == wire.TCP && (l.MSS <= 0 || l.MSS > room):
		return room
	case l.MSS > room: // of UDP each is a message
		return 0
	}
	return max(l.MSS, 0)
}

// whole says that all of an IP packet is in pkt.
func whole(pkt []byte, h *wire.Headers) bool {
	return h.Version != 0 && !h.Truncated && len(pkt) >= int(h.Len)
}
