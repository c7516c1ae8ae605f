package filter

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// FuzzParse: any text gives a program or an *Error with its place in the text, the same one each time; the object of an accepted
// text is the same program.
func FuzzParse(f *testing.F) {
	for _, src := range []string{
		"true", mediumFilter, ranges(3, 2), "(tcp ? udp : ip)", "packet16[-1b] == 0x1f", "not (tcp)", "@WinDiv_WX_eXWWAX", "timestamp < -0",
		"ipv6.SrcAddr == ::ffff:1.2.3.4 || icmp.Body=0x1ffffffff", "foo:", "event = CLOSE and processId!=4", "é", "tcp.DstPort==80-90", "a/8",
	} {
		for l := range addr.Layer(addr.Layers) {
			f.Add(src, uint8(l))
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		layer := addr.Layer(rng.IntN(addr.Layers))
		d := dice(rng.IntN)
		a := d.event(layer)
		_, src := d.filters(layer, &a, d.packet()).expr(2)
		f.Add(src, uint8(layer))
	}
	f.Fuzz(func(t *testing.T, src string, l uint8) {
		layer := addr.Layer(l % addr.Layers)
		p, err := Parse(src, layer)
		if q, again := Parse(src, layer); (again == nil) != (err == nil) || err == nil && q.Tests() != p.Tests() {
			t.Fatal("not the same twice")
		}
		if compat, compatErr := Parse(src, layer, Compat22()); compatErr != nil {
			checkError(t, compatErr, src, 1<<32-1)
			if err == nil {
				t.Fatalf("only Compat22 refuses it: %v", compatErr)
			}
		} else if n := compat.Tests(); n < 1 || n > maxTests {
			t.Fatalf("%d tests", n)
		}
		if err != nil {
			checkError(t, err, src, len(src))
			return
		}
		object, err := p.Object()
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse(object, layer)
		if err != nil {
			t.Fatalf("object %s: %v", object, err)
		}
		if again, _ := q.Object(); again != object {
			t.Fatalf("object %s was read as %s", object, again)
		}
	})
}

func checkError(t *testing.T, err error, src string, last int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Src != src || e.Pos < 0 || e.Pos > len(src) && e.Pos != last || e.Msg == "" || e.Code == 0 {
		t.Fatalf("bad error %#v", err)
	}
	_ = e.Error()
}

// FuzzMatch: any bytes may come as packet and address; the answer is the same with headers given as without, and as the
// reference says.
func FuzzMatch(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		d := dice(rng.IntN)
		a := d.event(addr.Layer(rng.IntN(addr.Layers)))
		raw := a.Bytes()
		f.Add(rng.Uint64(), d.packet(), raw[:])
	}
	f.Fuzz(func(t *testing.T, seed uint64, pkt, raw []byte) {
		var full [addr.Size]byte
		copy(full[:], raw)
		layer := addr.Layer(full[8] % addr.Layers)
		if layer == addr.LayerReflect {
			clear(full[16+13 : 16+16]) // addr.Layer holds the lowest byte of the layer's word
		}
		a, err := addr.Parse(full[:])
		if err != nil {
			t.Fatal(err)
		}
		e, src := dice(rand.New(rand.NewPCG(seed, 0)).IntN).filters(layer, &a, pkt).expr(2)
		p, err := Parse(src, layer, Compat22())
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		var h wire.Headers
		wire.Parse(pkt, &h)
		want := refMatch(e, layer, full, pkt, allFaults)
		v := View{&a, pkt, &h}
		if hits := batchHits(p, []View{v, v, v, v, v}); p.Match(&a, pkt, &h) != want || p.Match(&a, pkt, nil) != want || hits[4] != want {
			t.Fatalf("%s %q on %x: want %t", layer, src, pkt, want)
		}
	})
}

// FuzzObject: hostile objects are refused, or are programs that end, and that the optimiser does not change.
func FuzzObject(f *testing.F) {
	f.Add("X_eXWWAX", uint8(0))
	f.Add("Z_2cWWaLXX_1+WWG40Oa1VV=WWLYX_2WWW1rAX", uint8(3))
	f.Add("X_2eXWW1VVzAX", uint8(0))
	f.Add("Z_eXWWLXLY_fXWWAX_bXWWAX", uint8(1))
	f.Fuzz(func(t *testing.T, body string, l uint8) {
		layer := addr.Layer(l % addr.Layers)
		for _, opts := range [][]Option{nil, {Compat22()}} {
			p, err := Parse(objectPrefix+body, layer, opts...)
			if err != nil {
				checkError(t, err, objectPrefix+body, 0)
				continue
			}
			a, pkt, h := hotPacket()
			v := View{&a, pkt, &h}
			if layer > addr.NetworkForward {
				v.Headers = nil
			}
			if got := p.Match(&a, pkt, v.Headers); got != plainMatch(p, &v) {
				t.Fatalf("%s: the optimiser says %t", body, got)
			}
			p.Match(&a, nil, nil)
			object, _ := p.Object()
			if q, err := Parse(object, layer, opts...); err != nil || q.Tests() != p.Tests() {
				t.Fatalf("%s was written as %s: %v", body, object, err)
			}
		}
	})
}
