package lower_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Where fragments come that the driver puts together, each of them must match if the whole packet does. Some do not: those
// with other addresses.
func TestFragmentsOfWhatMatches(t *testing.T) {
	tr := newTrial(3, inMachine)
	var cutter frag.Cutter
	fragments, refused := 0, 0
	for range 600 {
		whole := tr.packet6()
		a, ctx := tr.address(&lower.Input, addr.Network, whole)
		p := tr.filters(addr.Network, a, whole, tr.fields).random(t)
		r := mustLowerProgram(t, p, lower.Input)
		run := inMachine(t, r.Program(lower.Code{}))
		matches := p.Match(&a, whole, nil)
		var h wire.Headers
		wire.Parse(whole, &h)
		err := cutter.Fragment(whole, &h, frag.Limit{MTU: 1280, Sender: true, ID: 7}, func(piece []byte) error {
			fragments++
			got := run(piece, ctx) != 0
			if matches && !got {
				t.Fatalf("refuses a fragment of what matches: %s\n% x", p, piece)
			}
			var fh wire.Headers
			if wire.Parse(piece, &fh); got && !r.Recheck(&fh) {
				t.Fatal("nobody asks again for the whole packet")
			}
			refused += b2i(!got)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if fragments < 1200 || refused < 50 {
		t.Errorf("%d fragments, %d refused: that says nothing", fragments, refused)
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
