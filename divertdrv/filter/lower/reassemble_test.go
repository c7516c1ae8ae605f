package lower_test

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Where fragments come that the driver puts together, each of them must match if the whole packet does, or be one that user
// space is asked about; and what matches for certain is of a packet that does. Some do not match: those with other addresses.
func TestFragmentsOfWhatMatches(t *testing.T) {
	tr := newTrial(3, inMachine)
	var cutter frag.Cutter
	fragments, refused, certain := 0, 0, 0
	plain := []string{"tcp", "udp", "icmpv6", "not icmpv6", "not fragment", "protocol == ICMPV6", "ipv6", "ip or udp", "icmp.Type == 0 or tcp"}
	code := lower.Code{Ask: asm.Instructions{asm.Mov.Imm(asm.R0, saysAsk), asm.Return()}}
	for i := range 600 {
		whole := tr.packet6()
		a, ctx := tr.address(&lower.Input, addr.Network, whole)
		p := tr.filters(addr.Network, a, whole, tr.fields).random(t)
		if i%3 == 0 {
			p = mustParse(t, plain[i/3%len(plain)], addr.Network)
		}
		r := mustLowerProgram(t, p, lower.Input)
		run := inMachine(t, r.Program(code))
		matches := p.Match(&a, whole, nil)
		var h wire.Headers
		wire.Parse(whole, &h)
		err := cutter.Fragment(whole, &h, frag.Limit{MTU: 1280, Sender: true, ID: 7}, func(piece []byte) error {
			fragments++
			got := run(piece, ctx)
			if matches && got == saysNo || !matches && got == saysYes {
				t.Fatalf("%d for a fragment of what is %v: %s\n% x", got, matches, p, piece)
			}
			var fh wire.Headers
			if wire.Parse(piece, &fh); got == saysAsk && !r.Recheck(&fh) {
				t.Fatal("nobody asks again for the whole packet")
			}
			refused += b2i(got == saysNo)
			certain += b2i(got == saysYes)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if fragments < 1200 || refused < 50 || certain < 50 {
		t.Errorf("%d fragments, %d refused, %d certain: that says nothing", fragments, refused, certain)
	}
}

// packet6 returns a whole packet of IPv6 that is longer than the least MTU.
func (d dice) packet6() []byte {
	for {
		transport, proto := d.transport(true)
		b := d.ipv6(proto, append(transport, d.bytes(1500)...))
		var h wire.Headers
		if wire.Parse(b, &h); !h.Fragment && h.TransportOff < 200 {
			return b
		}
	}
}
