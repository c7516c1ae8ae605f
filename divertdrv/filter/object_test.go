package filter

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

func TestObject(t *testing.T) {
	for _, tt := range []struct {
		layer     addr.Layer
		src, want string
	}{
		{0, "true", "@WinDiv_WX_WWWWAA"},
		{0, "false", "@WinDiv_WX_WWWWXX"},
		{0, "tcp", "@WinDiv_WX_eXWWAX"},
		{0, "(tcp? udp: ip)", "@WinDiv_WZ_eXWWLXLY_fXWWAX_bXWWAX"},
		{0, "ip.SrcAddr == 10.0.0.1", "@WinDiv_WX_rWW50000XAX"},
		{0, "packet16[-1]", "@WinDiv_WX_2eXWW1VVzAX"},
		{4, "layer = SOCKET and priority = -5", "@WinDiv_WY_2aWWZLXX_2bWXbAX"},
		{3, "event==CONNECT and remoteAddr=1.2.3.4 and remotePort=53", "@WinDiv_WZ_2cWWaLXX_1+WWG40Oa1VV=WWLYX_2WWW1rAX"},
		{0, "tcp.DstPort == 70000", "@WinDiv_WX_WWWWXX"}, // right where WinDivert says tcp == 0
	} {
		p, err := Parse(tt.src, tt.layer)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Object(); err != nil || got != tt.want {
			t.Errorf("%q: got %s, %v, want %s", tt.src, got, err, tt.want)
		}
	}
}

// TestObjectFormLength: 255 tests fit, and each number of them is read back.
func TestObjectFormLength(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 254, 255} {
		p, err := Parse(repeated(n, "localAddr == ::1"), addr.Network)
		if err != nil {
			t.Fatal(err)
		}
		object, _ := p.Object()
		if q, err := Parse(object, addr.Network); err != nil || q.Tests() != n {
			t.Errorf("%d tests: %v", n, err)
		}
	}
}

// TestBadObjects has a hundred objects and more that are damaged or hostile.
func TestBadObjects(t *testing.T) {
	bad := map[string]string{
		"":                      "empty",
		"W":                     "no tests",
		"WW":                    "no tests, as WinDivert writes 256",
		"WX":                    "fewer tests than said",
		"XX_eXWWAX":             "another version",
		"WX_eXWWAX_eXWWAX":      "more tests than said",
		"WX_eXWWAX ":            "a byte too many",
		"WX_eXWWAXA":            "an edge too many",
		"WXeXWWAX":              "no separator",
		"WX_eXWWLWX":            "an edge to itself",
		"WX_eXWWLXX":            "an edge past the end",
		"WY_eXWWAX_eXWWLWX":     "an edge back",
		"WX_eXWWBX":             "no edge",
		"WX_2sXWWAX":            "no field 86",
		"WX_3WXWWAX":            "no field 96",
		"WX_ecWWAX":             "no operator 6",
		"WX_eXYWAX":             "no sign 2",
		"WX_eXWAX":              "no constant",
		"WX_sWW400000WAX":       "a constant past 32 bits",
		"WX_sWW0000000WAX":      "a constant of too many digits",
		"WX_e0WWAX":             "a number without an end",
		"WX_1yWWWAX":            "a field of another layer",
		"WX_2eXWW1VV+AX":        "an index too near the end",
		"WX_2eXWW3VVVVV=AX":     "an index past the end",
		"WX_1+WWG40Oa1VV=WAX":   "an address of three words",
		"WX_1XXWWAX?":           "a byte of no digit",
		"WX_é":                  "no ASCII",
		"8X_" + "eXWWAX":        "a version past its digits",
		"WX_1wWW400000WAX":      "a constant that the driver refuses",
		"WX_1zXWWWWWA":          "cut",
		"WX_2nXXWWAX":           "-0",
		strings.Repeat("W", 10): "only zeros",
	}
	for body, why := range bad {
		if e := parseError(t, objectPrefix+body, addr.Network); e.Code != CodeBadObject || e.Pos != 0 {
			t.Errorf("%s (%s): got %v", body, why, e)
		}
	}
	// Every beginning of an object is no object.
	p, err := Parse(repeated(6, "localAddr == ::1")+" or packet[9] = 3", addr.Network)
	if err != nil {
		t.Fatal(err)
	}
	object, _ := p.Object()
	n := len(bad)
	for end := len(objectPrefix); end < len(object); end++ {
		if e := parseError(t, object[:end], addr.Network); e.Code != CodeBadObject || e.Pos != 0 {
			t.Errorf("%s: got %v", object[:end], e)
		}
		n++
	}
	if n < 100 {
		t.Errorf("only %d objects", n)
	}
	if e := parseError(t, "@WinDiv", addr.Network); e.Code != CodeBadToken {
		t.Errorf("got %v", e)
	}
}

// TestObjectPrograms runs random programs, which lead where no text does, and walks them by the reference.
func TestObjectPrograms(t *testing.T) {
	seed := rand.Uint64()
	d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
	for range 5000 {
		layer := addr.Layer(d(addr.Layers))
		a, pkt := d.event(layer), d.packet()
		written, tests := d.program(d.filters(layer, &a, pkt))
		object, _ := (&Program{tests: tests}).Object()
		p := mustParse(t, object, layer, Compat22())
		for range 5 {
			want := refWalk(written, tests, layer, a.Bytes(), pkt)
			if got := p.Match(&a, pkt, nil); got != want {
				t.Fatalf("seed %d: %s at %s on %x, %x: got %t, want %t", seed, object, layer, pkt, a.Bytes(), got, want)
			}
			a, pkt = d.event(layer), d.packet()
		}
	}
}

// program returns random tests, as they are written and as they are compiled.
func (d dice) program(f *filters) (written []refTest, tests []test) {
	f.fields = slices.DeleteFunc(f.fields, func(name string) bool { return name == "true" || name == "false" })
	if d.chance(70) {
		f.fields = f.fields[:min(2, len(f.fields))]
	}
	f.fields = append(f.fields, "zero")
	n := 1 + d(12)
	for i := 0; i < n; {
		e, _ := f.test()
		w := e.test
		id := fieldByName[w.field]
		if w.op == "" {
			continue
		}
		w.nots = 0
		cut := new(big.Int).Lsh(refInt(1), uint(32*id.words()))
		w.value.Mod(w.value, cut)
		if id == fIPSrcAddr || id == fIPDstAddr {
			w.value.And(w.value, refInt(0xffffffff)).Or(w.value, refInt(0xffff00000000))
		}
		c := comparison{field: id, index: w.index}
		c.op = map[string]op{"=": opEQ, "==": opEQ, "!=": opNEQ, "<": opLT, "<=": opLEQ, ">": opGT, ">=": opGEQ}[w.op]
		if w.fromEnd {
			c.index = -w.index
		}
		c.value.neg = w.neg
		c.value.mag.lo = new(big.Int).And(w.value, new(big.Int).SetUint64(1<<64-1)).Uint64()
		c.value.mag.hi = new(big.Int).Rsh(w.value, 64).Uint64()
		written = append(written, w)
		tests = append(tests, test{c, d.edge(i, n), d.edge(i, n)})
		i++
	}
	return written, tests
}

func (d dice) edge(from, n int) uint16 {
	if to := from + 1 + d(4); to < n {
		return uint16(to)
	}
	return []uint16{accept, reject}[d(2)]
}

func refWalk(written []refTest, tests []test, layer addr.Layer, raw [80]byte, pkt []byte) bool {
	s := &refState{layer: layer, raw: raw, faults: allFaults}
	if layer <= addr.NetworkForward {
		if s.pkt = refDecode(pkt); s.pkt == nil {
			return false
		}
	}
	at := uint16(0)
	for at < accept {
		w := &written[at]
		v := s.value(w, refFields[w.field])
		if v != nil && w.holds(v.Lsh(v, 1), w.constant(false)) {
			at = tests[at].succ
		} else {
			at = tests[at].fail
		}
	}
	return at == accept
}
