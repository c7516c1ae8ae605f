package workload

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// StreamOrders are the values of parameter order in scenario streams: as it was sent, and with one segment in a hundred three late.
var StreamOrders = []string{"sent", "late"}

const (
	streamSegments = 2000
	streamPayload  = 1460
)

// Stream returns one direction of a TCP connection over IPv4: a SYN, 2,000 segments of 1,460 bytes, and a RST, so that it can be read
// again and again.
func Stream(order string, seed uint64) ([][]byte, error) {
	if order != StreamOrders[0] && order != StreamOrders[1] {
		return nil, fmt.Errorf("no order is called %q: want one of %v", order, StreamOrders)
	}
	src, dst := netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("203.0.113.7:443")
	r := rand.New(rand.NewPCG(seed, streamPayload))
	seq := r.Uint32()
	var all [][]byte
	add := func(flags wire.TCPFlags, payload []byte) error {
		pkt, err := craft.TCP(src, dst, craft.Segment{Flags: flags, Seq: seq, Window: 512}, payload)
		all = append(all, pkt)
		seq += uint32(len(payload))
		return err
	}
	if err := add(wire.SYN, nil); err != nil {
		return nil, err
	}
	seq++
	for range streamSegments {
		payload := make([]byte, streamPayload)
		for i := range payload {
			payload[i] = byte(r.Uint32())
		}
		if err := add(wire.ACK, payload); err != nil {
			return nil, err
		}
	}
	if order == "late" {
		for i := 1; i+4 < len(all); i += 100 {
			all[i], all[i+1], all[i+2], all[i+3] = all[i+1], all[i+2], all[i+3], all[i]
		}
	}
	return all, add(wire.RST|wire.ACK, nil)
}

// Reading is what a reader of streams found, for the digest.
type Reading struct {
	Bytes, Ends, Sum uint64
}

// Data notes bytes of a stream, touching the first and the last only.
func (r *Reading) Data(b []byte) {
	if len(b) > 0 {
		r.Bytes += uint64(len(b))
		r.Sum = r.Sum*31 + uint64(b[0])<<8 + uint64(b[len(b)-1])
	}
}

// String is the digest.
func (r *Reading) String() string {
	var d Digest
	d.Add(r.Bytes, r.Ends, r.Sum)
	return d.String()
}
