package filter

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

func mustParse(t testing.TB, src string, layer addr.Layer, opts ...Option) *Program {
	t.Helper()
	p, err := Parse(src, layer, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ExampleParse() {
	p, err := Parse("outbound and tcp.DstPort == 443", addr.Network)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p, "has", p.Tests(), "tests")

	_, err = Parse("tcp.Port == 443", addr.Network)
	fmt.Println(err)
	// Output:
	// outbound and tcp.DstPort == 443 has 2 tests
	// filter: unknown name "tcp.Port"; did you mean tcp.SrcPort or tcp.DstPort? (bad-token at byte 0)
	//   tcp.Port == 443
	//   ^
}

// TestMatch says in a few lines what the reference says in many: what an absent header does, and where the default is right.
func TestMatch(t *testing.T) {
	a, tcp, _ := hotPacket() // from 192.168.1.2:4000 to 10.77.1.9:443, outbound
	udp := slices.Clone(tcp)
	udp[9] = wire.ProtoUDP
	v6 := make([]byte, wire.IPv6HeaderLen)
	v6[0], v6[1], v6[2], v6[3], v6[6] = 0x60, 0x01, 0x23, 0x45, wire.ProtoNoNext
	for _, tt := range []struct {
		src                       string
		onTCP, onUDP, onV6        bool
		compatTCP, compatUDP, cV6 bool
	}{
		{"true", true, true, true, true, true, true},
		{"tcp.DstPort == 443", true, false, false, true, false, false},
		{"tcp.DstPort != 443", false, false, false, false, false, false},
		{"not tcp.DstPort == 80", true, false, false, true, false, false},
		{"not tcp", false, true, true, false, true, true},
		{"tcp.DstPort == 70000", false, false, false, false, true, true},
		{"tcp.DstPort < 70000", true, false, false, true, false, false},
		{"not tcp.DstPort < 70000", false, false, false, false, true, true},
		{"ip.SrcAddr == fe80::1", false, false, false, false, false, true},
		{"ipv6.FlowLabel == 0x12345", false, false, true, false, false, false},
		{"remoteAddr == 10.77.1.9 and localPort == 4000 or ipv6", true, true, true, true, true, true},
		{"remoteAddr != 10.77.1.9", false, false, true, false, false, true},
		{"tcp.Payload[-1] == 4 and tcp.Payload32[0] == 0x01020304", true, false, false, true, false, false},
		{"tcp.Payload[4] or udp.Payload16[-100]", false, false, false, false, false, false},
		{"packet[1000] == 0", false, false, false, false, false, false},
		{"(tcp ? tcp.Ack : udp)", true, true, false, true, true, false},
	} {
		p, c := mustParse(t, tt.src, addr.Network), mustParse(t, tt.src, addr.Network, Compat22())
		got := []bool{
			p.Match(&a, tcp, nil), p.Match(&a, udp, nil), p.Match(&a, v6, nil),
			c.Match(&a, tcp, nil), c.Match(&a, udp, nil), c.Match(&a, v6, nil),
		}
		if want := []bool{tt.onTCP, tt.onUDP, tt.onV6, tt.compatTCP, tt.compatUDP, tt.cV6}; !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", tt.src, got, want)
		}
	}
}

func TestNoPacketMatchesNothing(t *testing.T) {
	p := mustParse(t, "true", addr.Network)
	for _, pkt := range [][]byte{nil, {0x45}, make([]byte, 20), {0x60, 1, 2, 3}} {
		var h wire.Headers
		wire.Parse(pkt, &h)
		if p.Match(&addr.Address{}, pkt, nil) || p.Match(&addr.Address{}, pkt, &h) {
			t.Errorf("%x matches", pkt)
		}
	}
}

func TestAlways(t *testing.T) {
	for _, tt := range []struct {
		src             string
		value, constant bool
		tests           int
	}{
		{"true", true, true, 1},
		{"tcp.DstPort == 70000", false, true, 1},
		{"ip.TTL == -1 or true", true, true, 1},
		{"tcp", false, false, 1},
		{"ip.TTL < 256", false, false, 1},
		{"localPort < 80 or localPort >= 80", true, true, 2},
		{"ifIdx == 1 and ifIdx == 2", false, true, 2},
		{"tcp.DstPort < 80 or tcp.DstPort >= 80", false, false, 2}, // it is tcp
		{"packet[9] == 1 and packet[9] == 2", false, true, 2},
		{"tcp and not tcp", false, true, 2},
	} {
		p := mustParse(t, tt.src, addr.Network)
		if p.String() != tt.src || p.Layer() != addr.Network {
			t.Errorf("%q became %q at %s", tt.src, p, p.Layer())
		}
		if value, constant := p.Always(); value != tt.value && tt.constant || constant != tt.constant || p.Tests() != tt.tests {
			t.Errorf("%q: got %t, %t, %d tests", tt.src, value, constant, p.Tests())
		}
	}
}

// TestRandomFields: the same for a packet and its time, spread evenly over others, and of the width they claim.
func TestRandomFields(t *testing.T) {
	a, pkt, h := hotPacket()
	for _, tt := range []struct {
		src    string
		expect float64
	}{
		{"random8 < 64", 0.25},
		{"random8 >= 128", 0.5},
		{"random16 < 0x4000", 0.25},
		{"random32 >= 0xc0000000", 0.25},
		{"random8 < 128 and random16 < 0x8000 and random32 < 0x80000000", 0.125},
		{"random32 <= 0xffffffff and random16 <= 0xffff", 1},
	} {
		p := mustParse(t, tt.src, addr.Network)
		const n = 20_000
		hits := 0
		for i := range n {
			a.Timestamp = int64(i)
			got := p.Match(&a, pkt, &h)
			if got != p.Match(&a, pkt, nil) {
				t.Fatalf("%q: not the same twice", tt.src)
			}
			if got {
				hits++
			}
		}
		if rate := float64(hits) / n; rate < tt.expect-0.02 || rate > tt.expect+0.02 {
			t.Errorf("%q: %.3f of packets, want %.3f", tt.src, rate, tt.expect)
		}
	}
	// Headers count, payload does not.
	p := mustParse(t, "random32 < 0x80000000", addr.Network)
	differ, same := 0, p.Match(&a, pkt, &h)
	for i := range 1000 {
		pkt[len(pkt)-1] = byte(i)
		if p.Match(&a, pkt, &h) != same {
			t.Fatal("the payload changes random32")
		}
		pkt[30], pkt[31] = byte(i>>8), byte(i) // the acknowledgement number
		if p.Match(&a, pkt, &h) != same {
			differ++
		}
		pkt[30], pkt[31] = 0, 2
	}
	if differ < 400 || differ > 600 {
		t.Errorf("%d of 1000 headers differ", differ)
	}
}

// allKinds is a filter that loads every class of field.
const allKinds = "(outbound and fragment or impostor) or ip.TTL == 1 or tcp.DstPort == 1 or tcp.PayloadLength == 1 or localPort == 1 or " +
	"packet[0] == 1 or tcp.Payload32[-4] == 1 or localAddr == ::1 or ipv6.SrcAddr == ::1 or timestamp == -1 or random8 == 0 and ifIdx == 9 or " +
	"tcp.SrcPort == 80 or tcp.SrcPort == 81 or tcp.SrcPort == 82"

func TestMatchDoesNotAllocate(t *testing.T) {
	a, pkt, h := hotPacket()
	v := make([]View, 64)
	for i := range v {
		v[i] = View{&a, pkt, &h}
	}
	hits := make([]bool, len(v))
	for _, tt := range []struct {
		layer addr.Layer
		src   string
	}{
		{addr.Network, allKinds},
		{addr.NetworkForward, "ifIdx == 1 or ip.TTL == 3"},
		{addr.LayerFlow, "tcp and remoteAddr == ::1 or localPort == 3 or endpointId == 4 or processId == 5"},
		{addr.LayerSocket, "event == CONNECT and protocol == TCP"},
		{addr.LayerReflect, "priority < 0 and layer == NETWORK"},
	} {
		p := mustParse(t, tt.src, tt.layer)
		if n := testing.AllocsPerRun(100, func() {
			p.Match(&a, pkt, &h)
			p.Match(&a, pkt, nil)
			p.MatchBatch(v, hits)
		}); n != 0 {
			t.Errorf("%q: %v allocations", tt.src, n)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	p := mustParse(t, allKinds+" or tcp.Ack", addr.Network)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			a, pkt, h := hotPacket()
			for range 1000 {
				if !p.Match(&a, pkt, &h) {
					t.Error("no match")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestMatchBatchPanicsOnShortHits(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	mustParse(t, "true", addr.Network).MatchBatch(make([]View, 2), make([]bool, 1))
}

func TestFieldsAndMacros(t *testing.T) {
	for l := range addr.Layer(addr.Layers) {
		for _, f := range Fields(l) {
			src := f.Name
			if f.Indexable {
				src += "[0]"
			}
			if f.Doc == "" || !slices.Contains(f.Layers, l) {
				t.Errorf("%+v", f)
			}
			for _, bound := range []string{f.Min, f.Max} {
				if _, err := Parse(src+" == "+bound, l); err != nil && f.Name != "ip.TOS" {
					t.Error(err)
				}
			}
		}
		for _, m := range Macros(l) {
			p := mustParse(t, fmt.Sprintf("event == %s", m.Name), l, Compat22())
			if c := p.tests[0].comparison; c.field == fEvent && c.value != unsigned(uint64(m.Value)) {
				t.Errorf("%s at %s: %v", m.Name, l, c.value)
			}
		}
	}
	if n := len(Fields(addr.Network)); n != 83 {
		t.Errorf("%d fields at network", n)
	}
}
