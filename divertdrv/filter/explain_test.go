package filter

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

func ExampleProgram_Explain() {
	a, pkt, h := hotPacket() // TCP from 192.168.1.2:4000 to 10.77.1.9:443, outbound, with 4 bytes of payload
	p, err := Parse("(tcp.DstPort == 80 or udp.DstPort == 53 or remoteAddr == 10.77.1.9 and tcp.Payload[4] == 22) and outbound", addr.Network)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(p.Explain(&a, pkt, &h))
	// Output:
	// network: (tcp.DstPort == 80 or udp.DstPort == 53 or remoteAddr == 10.77.1.9 and tcp.Payload[4] == 22) and outbound
	//   1  tcp.DstPort = 80        443        false                                    -> 2
	//   2  udp.DstPort = 53                   not applicable: no UDP header            -> 3
	//   3  remoteAddr = 10.77.1.9  10.77.1.9  true                                     -> 4
	//   4  tcp.Payload[4b] = 0x16             not applicable: the payload has 4 bytes  -> reject
	//   5  outbound                1          true                                     not asked
	// no match
}

func TestExplain(t *testing.T) {
	a, pkt, _ := hotPacket()
	for _, tt := range []struct {
		src  string
		want string // value, outcome and next of the tests
	}{
		{"tcp.DstPort == 443", "443 true accept"},
		{"not tcp.DstPort == 443", "443 false reject"},
		{"udp.DstPort != 443", " not-applicable reject"},
		{"not udp and ip.Protocol == TCP", "0 true 2; TCP true accept"},
		{"packet16[0] == 0x4500 and packet[-1] == 4", "0x4500 true 2; 0x04 true accept"},
		{"tcp.Payload32[-4] < 5", " not-applicable reject"},
		{"(ipv6 ? ipv6.HopLimit > 5 : ip.TTL > 5)", "0 false 3; 0x_ not-applicable ; 64 true accept"},
		{"true", "0 true accept"},
		{"localPort == 4000 or tcp.Ack", "4000 true accept; 1 true "},
	} {
		e := mustParse(t, tt.src, addr.Network).Explain(&a, pkt, nil)
		var got []string
		for _, s := range e.Tests {
			got = append(got, fmt.Sprintf("%s %s %s", s.Value, s.Outcome, s.Next))
		}
		want := strings.ReplaceAll(tt.want, "0x_", "")
		if strings.Join(got, "; ") != want {
			t.Errorf("%q: got %q, want %q", tt.src, strings.Join(got, "; "), want)
		}
	}
	for _, junk := range [][]byte{nil, {0x45}, make([]byte, 40)} {
		e := mustParse(t, "true", addr.Network).Explain(&a, junk, nil)
		if e.Match || e.Reason != "no IP packet" || !strings.HasSuffix(e.String(), "no match: no IP packet\n") {
			t.Errorf("%x: %v", junk, e)
		}
	}
}

func TestExplanationJSON(t *testing.T) {
	a, pkt, h := hotPacket()
	got, err := json.Marshal(mustParse(t, "udp or tcp.Fin", addr.Network).Explain(&a, pkt, &h))
	const want = `{"filter":"udp or tcp.Fin","layer":"network","match":false,"tests":[` +
		`{"test":1,"text":"udp","value":"0","outcome":"false","asked":true,"next":"2"},` +
		`{"test":2,"text":"tcp.Fin","value":"0","outcome":"false","asked":true,"next":"reject"}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// checkExplanation holds an explanation to Match, and to the way that it tells.
func checkExplanation(t testing.TB, p *Program, a *addr.Address, pkt []byte) {
	t.Helper()
	e := p.Explain(a, pkt, nil)
	if want := p.Match(a, pkt, nil); e.Match != want {
		t.Fatalf("%s %q, compat22 %t, on %x, %x: match is %t and not\n%s", p.layer, p, p.compat22, pkt, a.Bytes(), want, e)
	}
	if e.Reason != "" {
		return
	}
	at, asked := "1", 0
	for at != "accept" && at != "reject" {
		var i int
		if _, err := fmt.Sscan(at, &i); err != nil || i > len(e.Tests) || !e.Tests[i-1].Asked {
			t.Fatalf("the way is broken at %s:\n%s", at, e)
		}
		at = e.Tests[i-1].Next
		asked++
	}
	for _, s := range e.Tests {
		if s.Asked {
			asked--
		}
		if (s.Outcome == OutcomeNotApplicable) != (s.Value == "") || (s.Why == "") != (s.Value != "") || s.Asked != (s.Next != "") {
			t.Fatalf("inconsistent: %+v", s)
		}
	}
	if asked != 0 || (at == "accept") != e.Match {
		t.Fatalf("the way does not lead to the answer:\n%s", e)
	}
}

// TestExplainAgrees: the answer of Explain is that of Match, for random filters and programs on random packets, in both modes.
func TestExplainAgrees(t *testing.T) {
	seed := rand.Uint64()
	d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
	rounds, n := 4000, 0
	if os.Getenv("WEIR_LONG") != "" {
		rounds = 100_000
	}
	for range rounds {
		layer := addr.Layer(d(addr.Layers))
		a, pkt := d.event(layer), d.packet()
		_, src := d.filters(layer, &a, pkt).expr(3)
		if layer <= addr.NetworkForward && d.chance(20) {
			src = d.one("random8 < 128", "random16 >= 32768", "random32 < 0x80000000") + " and (" + src + ")"
		}
		_, tests := d.program(d.filters(layer, &a, pkt))
		object, _ := (&Program{tests: tests}).Object()
		var programs []*Program
		for _, text := range []string{src, object} {
			for _, opts := range [][]Option{nil, {Compat22()}} {
				if p, err := Parse(text, layer, opts...); err == nil {
					programs = append(programs, p)
				}
			}
		}
		for range 5 {
			for _, p := range programs {
				checkExplanation(t, p, &a, pkt)
				n++
			}
			a, pkt = d.event(layer), d.packet()
		}
	}
	t.Logf("seed %d: %d explanations", seed, n)
}

// TestExplainVectors: the answers of WinDivert itself.
func TestExplainVectors(t *testing.T) {
	n := 0
	evalVectors(t, func(v *evalVector) {
		if p, err := Parse(v.src, v.layer, Compat22()); err == nil {
			n++
			if got := p.Explain(&v.addr, v.packet, nil).Match; got != (v.want == "1") {
				t.Errorf("line %d: got %t: %q", v.line, got, v.src)
			}
		}
	})
	t.Logf("%d explanations", n)
}

// FuzzExplain: any bytes may come as packet and address.
func FuzzExplain(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
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
		a, err := addr.Parse(full[:])
		if err != nil {
			t.Fatal(err)
		}
		d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
		sample := d.event(layer) // of this layer in every byte, which the reference wants
		_, src := d.filters(layer, &sample, pkt).expr(2)
		for _, opts := range [][]Option{nil, {Compat22()}} {
			if p, err := Parse(src, layer, opts...); err == nil {
				checkExplanation(t, p, &a, pkt)
				var h wire.Headers
				wire.Parse(pkt, &h)
				if p.Explain(&a, pkt, &h).Match != p.Match(&a, pkt, &h) {
					t.Fatalf("%q", src)
				}
			}
		}
	})
}
