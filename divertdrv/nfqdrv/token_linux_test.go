package nfqdrv

import (
	"math"
	"testing"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
)

func TestToken(t *testing.T) {
	six := append([]byte{0x60}, make([]byte, queue.MaxPayload-1)...)
	for _, c := range []struct {
		p    queue.Packet
		want token
	}{
		{queue.Packet{ID: 1, Hook: queue.LocalIn, Data: []byte{0x45}}, 0},
		{queue.Packet{ID: math.MaxUint32, Hook: queue.LocalOut, Data: six}, tokenOutbound | tokenIPv6},
		{queue.Packet{ID: 7, Hook: queue.Forward, Facts: queue.Segmentable | queue.ChecksumOwed, Data: []byte{0x45, 0}}, tokenForward | tokenSegmentable},
		{queue.Packet{ID: 8, Hook: queue.PreRouting}, 0},
	} {
		got := tokenOf(&c.p)
		facts := got &^ (tokenID | tokenLenMask<<tokenLenOff)
		if got.id() != c.p.ID || got.length() != len(c.p.Data) || facts != c.want {
			t.Errorf("%+v: id %d, length %d, facts %#x; want facts %#x", c.p, got.id(), got.length(), facts, c.want)
		}
	}
}
