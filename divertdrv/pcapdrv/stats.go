package pcapdrv

import (
	"cmp"
	"fmt"
	"slices"
)

// Reason says why a frame is a bystander: it carries no IP packet that can be handed out, so it passes undecoded.
type Reason uint8

// The reasons.
const (
	UnsupportedLink Reason = iota // its link type is not decoded
	NotIP                         // its link header announces something else
	Malformed                     // no whole link and IP header, or lengths that contradict each other
	OtherReason                   // counted together: the table of reasons is full
)

// Bystander counts the frames of one link type that are bystanders for one reason.
type Bystander struct {
	Link     LinkType
	Reason   Reason
	Protocol uint16 // valid iff Reason == NotIP: EtherType, PPP protocol or address family; 0: the link has none
	Frames   uint64
}

// String says it in words: "3 frames of link type 105 (IEEE802_11), which is not supported".
func (b Bystander) String() string {
	switch b.Reason {
	case UnsupportedLink:
		return fmt.Sprintf("%d frames of link type %v, which is not supported", b.Frames, b.Link)
	case NotIP:
		if b.Protocol == 0 {
			return fmt.Sprintf("%d frames of link type %v without IP", b.Frames, b.Link)
		}
		return fmt.Sprintf("%d frames of link type %v without IP: %s", b.Frames, b.Link, protocolName(b.Protocol))
	case Malformed:
		return fmt.Sprintf("%d frames of link type %v without a whole IP header", b.Frames, b.Link)
	}
	return fmt.Sprintf("%d further frames without IP", b.Frames)
}

func protocolName(p uint16) string {
	names := map[uint16]string{
		0x0806: "ARP", 0x8847: "MPLS", 0x8863: "PPPoE discovery", 0x888e: "EAPOL", 0x88cc: "LLDP", 0x88f7: "PTP",
	}
	if name, ok := names[p]; ok {
		return name
	}
	return fmt.Sprintf("protocol 0x%04x", p)
}

// Stats is a snapshot of what was read and written. Frames = Packets + the frames of all Bystanders.
type Stats struct {
	Frames    uint64 // records read
	Packets   uint64 // of them IP packets, handed to the engine
	Bytes     uint64 // of these packets, from the IP header
	Truncated uint64 // of these packets: the capture has less than the IP header promises

	Bystanders []Bystander // at most bystandersMax, by link type, reason and protocol

	PacketsWritten uint64 // IP packets that were written: passed, modified or injected
	BytesWritten   uint64 // of these packets
	FramesWritten  uint64 // bystanders that were written

	Read int64 // bytes of the capture file read so far, compressed where it is
	Size int64 // bytes of the capture file; 0 where it is not known, as with a pipe
}

// Skipped is the number of bystanders.
func (s *Stats) Skipped() (frames uint64) {
	for _, b := range s.Bystanders {
		frames += b.Frames
	}
	return frames
}

// bystandersMax bounds the table: a hostile capture can have 2^32 kinds of them.
const bystandersMax = 64

// bystanders counts by kind. A capture has few kinds, so the table is searched in order; the last entry takes what is too much.
type bystanders []Bystander

func (t *bystanders) add(b Bystander) {
	if len(*t) >= bystandersMax-1 && !t.has(b) {
		b = Bystander{Reason: OtherReason}
	}
	for i := range *t {
		if e := &(*t)[i]; e.Link == b.Link && e.Reason == b.Reason && e.Protocol == b.Protocol {
			e.Frames++
			return
		}
	}
	b.Frames = 1
	*t = append(*t, b)
}

func (t *bystanders) has(b Bystander) bool {
	return slices.ContainsFunc(*t, func(e Bystander) bool {
		return e.Link == b.Link && e.Reason == b.Reason && e.Protocol == b.Protocol
	})
}

func (t bystanders) sorted() []Bystander {
	s := slices.Clone(t)
	slices.SortFunc(s, func(a, b Bystander) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Link, b.Link), cmp.Compare(a.Protocol, b.Protocol))
	})
	return s
}
