package lower_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Each extension header, and chains of them, at the very end of a packet, one byte short of it, and as often as a program steps
// over them: the protocol behind them, and whether they make a fragment, are what the evaluator says.
func TestExtensionsAtTheEnd(t *testing.T) {
	tr := newTrial(9, inMachine)
	kinds := []byte{wire.ProtoHopByHop, wire.ProtoRouting, wire.ProtoFragment, wire.ProtoAH, wire.ProtoDestOpts, wire.ProtoMobility}
	for _, src := range []string{"protocol == 59", "protocol == 60", "protocol == TCP", "fragment", "tcp", "length == 48"} {
		p := mustParse(t, src, addr.Network)
		var packets [][]byte
		for _, kind := range kinds {
			for n := 1; n <= lower.MaxExtensions; n++ {
				b := make([]byte, wire.IPv6HeaderLen+8*n)
				b[0], b[5], b[6] = 0x60, byte(8*n), wire.ProtoDestOpts
				for i := range n {
					b[wire.IPv6HeaderLen+8*i] = wire.ProtoDestOpts
				}
				b[wire.IPv6HeaderLen+8*(n-1)] = wire.ProtoNoNext
				if n == 1 {
					b[6] = kind
				} else {
					b[wire.IPv6HeaderLen+8*(n-2)] = kind
				}
				packets = append(packets, b, b[:len(b)-1], append(b[:len(b):len(b)], 0))
			}
		}
		tr.filter(t, p, &lower.Prerouting, packets)
	}
	if tr.matches < 100 || tr.asked > 0 {
		t.Errorf("%d match of %d, %d to be asked again", tr.matches, tr.pairs, tr.asked)
	}
}

// A packet with more headers than a program steps over matches where it could, and user space is asked.
func TestDeepPacketsAreAskedAgain(t *testing.T) {
	const n = lower.MaxExtensions + 1
	b := make([]byte, wire.IPv6HeaderLen+8*n+wire.UDPHeaderLen)
	b[0], b[5], b[6] = 0x60, byte(len(b)-wire.IPv6HeaderLen), wire.ProtoDestOpts
	for i := range n {
		b[wire.IPv6HeaderLen+8*i] = wire.ProtoDestOpts
	}
	b[wire.IPv6HeaderLen+8*(n-1)] = wire.ProtoUDP
	var h wire.Headers
	if wire.Parse(b, &h); h.Transport != wire.UDP {
		t.Fatalf("%+v", h)
	}
	for src, want := range map[string]bool{"udp": true, "tcp": true, "ip and tcp": false, "ipv6.HopLimit == 3": false} {
		r := mustLower(t, src, lower.Prerouting)
		if got := inMachine(t, r.Program(lower.Code{}))(b, make([]byte, skbSize)) != 0; got != want || got && !r.Recheck(&h) {
			t.Errorf("%s: %v, want %v", src, got, want)
		}
	}
}
