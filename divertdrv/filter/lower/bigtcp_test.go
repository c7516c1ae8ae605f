package lower_test

import (
	"encoding/binary"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/wire"
)

// A packet that is to be segmented and is longer than its header can say has the length 0 there. It is decided by its headers.
// Any other packet of length 0 is none in IPv4, and has no transport in IPv6.
func TestBigTCP(t *testing.T) { testBigTCP(t, newTrial(1, inMachine)) }

func testBigTCP(t *testing.T, tr *trial) {
	v4, v6 := make([]byte, 2000), make([]byte, 2000)
	v4[0], v4[9], v4[32] = 0x45, wire.ProtoTCP, 5<<4
	binary.BigEndian.PutUint16(v4[22:], 443)
	// Linux puts a Hop-by-Hop header with the jumbo payload option in front (RFC 2675).
	v6[0], v6[6] = 0x60, wire.ProtoHopByHop
	copy(v6[40:], []byte{wire.ProtoTCP, 0, 0xc2, 4})
	v6[60] = 5 << 4
	binary.BigEndian.PutUint16(v6[50:], 443)
	for _, tt := range []struct {
		src            string
		v4, v6         bool // what they answer to be segmented
		alone4, alone6 bool // and otherwise
	}{
		{src: "tcp.DstPort == 443", v4: true, v6: true},
		{src: "tcp.DstPort == 444"},
		{src: "length == 2000", v4: true, v6: true},
		{src: "tcp.PayloadLength == 1960", v4: true},
		{src: "tcp.PayloadLength == 1932", v6: true},
		{src: "packet[1999] == 0", v4: true, v6: true},
		{src: "true", v4: true, v6: true, alone6: true},
		{src: "ip.Length == 0", v4: true},
		{src: "ipv6.Length == 0", v6: true, alone6: true},
	} {
		run := tr.load(t, mustLower(t, tt.src, lower.Output).Program(lower.Code{}))
		alone, gso := make([]byte, skbSize), make([]byte, skbSize)
		binary.LittleEndian.PutUint32(gso[skbGSOSize:], 1400)
		for _, c := range []struct {
			name     string
			pkt, ctx []byte
			want     bool
		}{
			{"IPv4 with GSO", v4, gso, tt.v4},
			{"IPv6 with GSO", v6, gso, tt.v6},
			{"IPv4", v4, alone, tt.alone4},
			{"IPv6", v6, alone, tt.alone6},
		} {
			if got := run(c.pkt, c.ctx) != 0; got != c.want {
				t.Errorf("%s, %s: %v, want %v", tt.src, c.name, got, c.want)
			}
		}
	}
}
