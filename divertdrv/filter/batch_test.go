package filter

import (
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// TestMatchBatchAddresses: an address of which the upper half alone tells goes its own way, and so does a packet without one.
func TestMatchBatchAddresses(t *testing.T) {
	a, v4, _ := hotPacket()
	v6 := make([]byte, wire.IPv6HeaderLen)
	v6[0], v6[6], v6[8], v6[24] = 0x60, wire.ProtoNoNext, 0x20, 0x20
	var views []View
	for i := range 10 {
		v := View{&a, v4, new(wire.Headers)}
		if i%2 == 1 {
			v.Data = v6
		}
		wire.Parse(v.Data, v.Headers)
		views = append(views, v)
	}
	for _, tt := range []struct {
		src      string
		one, two bool // on IPv4, on IPv6
	}{
		{"ipv6.SrcAddr != ::1", false, true},
		{"ipv6.SrcAddr == ::1", false, false},
		{"not ipv6.SrcAddr == ::1 and ipv6.SrcAddr != ::9", false, true},
		{"remoteAddr != 10.77.1.9", false, true},
		{"remoteAddr == 10.77.1.9", true, false},
		{"localAddr > ::ffff:255.255.255.255", false, true},
		{"ip.SrcAddr != 1.1.1.1", true, false},
	} {
		hits := make([]bool, len(views))
		mustParse(t, tt.src, addr.Network).MatchBatch(views, hits)
		for i, hit := range hits {
			if want := i%2 == 0 && tt.one || i%2 == 1 && tt.two; hit != want {
				t.Errorf("%s: packet %d is %t", tt.src, i, hit)
			}
		}
	}
}
