package frag_test

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// A driver that holds the kernel's packet of each fragment gives its number as the token, and learns what to do with it.
func ExampleReassembler() {
	r := frag.NewReassembler(frag.Config{
		Release: func(token uint64, o frag.Outcome) { fmt.Printf("release %d: %v\n", token, o) },
	})
	for token, p := range []piece{{0, 1000, true, 'A'}, {1000, 1000, true, 'B'}, {2000, 7, false, 'C'}} {
		pkt := p.build(false)
		var h wire.Headers
		wire.Parse(pkt, &h)
		res := r.Add(pkt, &h, 0, uint64(token))
		fmt.Printf("fragment %d: %v, %d bytes\n", token, res.Outcome, len(res.Whole))
	}
	// Output:
	// fragment 0: held, 0 bytes
	// fragment 1: held, 0 bytes
	// release 0: joined
	// release 1: joined
	// fragment 2: joined, 2027 bytes
}

// What is longer than the MTU is cut by what it is: TCP into segments, UDP into fragments.
func ExampleCutter_Cut() {
	var c frag.Cutter // its buffer is used again
	for _, pkt := range [][]byte{tcpPacket(false, wire.ACK, 0, 3000), piece{0, 3000, false, 'A'}.build(false)} {
		var h wire.Headers
		wire.Parse(pkt, &h)
		limit := frag.Limit{MTU: 1500}
		fmt.Println(frag.Fit(pkt, &h, limit))
		if err := c.Cut(pkt, &h, limit, func(b []byte) error {
			fmt.Println(len(b), "bytes")
			return nil
		}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// by segments
	// 1500 bytes
	// 1500 bytes
	// 120 bytes
	// by fragments
	// 1500 bytes
	// 1500 bytes
	// 60 bytes
}
