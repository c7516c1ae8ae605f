package stack

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Whatever the bytes are: what the parser finds to be a fragment is never taken for none.
func TestMayBeFragment(t *testing.T) {
	fragments, spared := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 40, 80).Draw(r, "data")
		data[0] = rapid.SampledFrom([]byte{0x45, 0x46, 0x60}).Draw(r, "version")
		if data[0] == 0x60 {
			next := []byte{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMPv6, 0, 43, 44, 60}
			data[4], data[5], data[6] = 0, byte(len(data)-40), rapid.SampledFrom(next).Draw(r, "next")
		} else {
			data[2], data[3], data[6] = 0, byte(len(data)), rapid.SampledFrom([]byte{0, 0x20, 0x40, 0x1f, 1}).Draw(r, "flags")
		}
		data = data[:len(data)-rapid.SampledFrom([]int{0, 0, 0, 1, 21, 40}).Draw(r, "cut")]
		var h wire.Headers
		wire.Parse(data, &h)
		maybe := mayBeFragment(data)
		if h.Fragment && !maybe {
			r.Fatalf("%x is a fragment", data)
		}
		if h.Fragment {
			fragments++
		}
		if !maybe && h.Version != 0 {
			spared++
		}
	})
	if fragments == 0 || spared == 0 {
		t.Errorf("%d fragments, %d packets spared: the test shows nothing", fragments, spared)
	}
}
