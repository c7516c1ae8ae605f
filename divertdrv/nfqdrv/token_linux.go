package nfqdrv

import "github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"

// token is what the driver calls a packet: its id in the kernel's queue, and what must be known of it when its verdict comes.
type token uint64

// The parts of a token.
const (
	tokenID      token = 1<<32 - 1
	tokenLenOff        = 32 // the length as it came in bytes, 17 bits
	tokenLenMask       = 1<<17 - 1
)

// The facts in a token.
const (
	tokenCut         token = 1 << (49 + iota) // only its start was received
	tokenCopy                                 // a copy: the packet itself went on
	tokenSegmentable                          // a super-packet
	tokenOutbound                             // taken at the output hook
	tokenForward                              // taken at the forward hook
	tokenJoined                               // made of fragments, which wait under ids of their own
	tokenIPv6
)

func tokenOf(p *queue.Packet) token {
	t := token(p.ID) | token(min(len(p.Data), tokenLenMask))<<tokenLenOff
	switch p.Hook {
	case queue.LocalOut:
		t |= tokenOutbound
	case queue.Forward:
		t |= tokenForward
	case queue.PreRouting, queue.LocalIn, queue.PostRouting:
	}
	if p.Facts&queue.Segmentable != 0 {
		t |= tokenSegmentable
	}
	if len(p.Data) > 0 && p.Data[0]>>4 == 6 {
		t |= tokenIPv6
	}
	return t
}

func (t token) id() uint32 { return uint32(t & tokenID) }

// length is the packet's when it was received, in bytes.
func (t token) length() int { return int(t >> tokenLenOff & tokenLenMask) }
