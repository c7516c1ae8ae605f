package filter

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		layer     addr.Layer
		src, want string
	}{
		{0, " true ", "true"},
		{0, "tcp.DstPort == 70000", "false"},
		{0, "tcp.DstPort==443&&outbound", "tcp.DstPort = 443 and outbound"},
		{0, "((tcp) or (udp or icmp))", "tcp or udp or icmp"},
		{0, "tcp and (udp and icmp)", "tcp and udp and icmp"},
		{0, "(tcp or udp) and ip", "(tcp or udp) and ip"},
		{0, "tcp or udp and ip", "tcp or udp and ip"},
		{0, "(tcp ? udp : ip)", "(tcp ? udp : ip)"},
		{0, "(tcp ? udp : false)", "tcp and udp"},
		{0, "(tcp ? true : ip)", "tcp or ip"},
		{0, "((tcp or udp) ? false : true)", "(tcp or udp ? false : true)"},
		{0, "(tcp ? false : udp) and ip", "(tcp ? false : udp) and ip"},
		{0, "not tcp and not not udp and tcp == 1 and udp != 0", "not tcp and udp and tcp = 1 and udp"},
		{0, "not ip.TTL < 5", "ip.TTL >= 5"},
		{0, "ip.TTL", "ip.TTL != 0"},
		{0, "tcp or true", "tcp or true"},
		{0, "tcp and udp or true", "tcp and udp or true"},
		{0, "tcp and (true or udp)", "tcp or false and udp"},
		{0, "tcp and (false ? udp : ip)", "tcp and (false ? udp : ip)"},
		{0, "ip.SrcAddr == 0xffff0a000001 or ipv6.DstAddr > 0x20010db8000000000000000000000001", "ip.SrcAddr = 10.0.0.1 or ipv6.DstAddr > 2001:db8::1"},
		{0, "packet[1] = 1 and packet16[1] = 500 and packet32[-2] < 9 and tcp.Payload[0] = 22", "packet[1b] = 0x01 and packet16[2b] = 0x01f4 and packet32[-8b] < 0x00000009 and tcp.Payload[0b] = 0x16"},
		{0, "protocol = 6 and ip.Protocol != 17 and ipv6.NextHdr < 58 and ip.TTL = 6", "protocol = TCP and ip.Protocol != UDP and ipv6.NextHdr < ICMPV6 and ip.TTL = 6"},
		{0, "loopback and not impostor and loopback < 9", "loopback and not impostor and loopback < 9"},
		{2, "event == ESTABLISHED and remoteAddr == ::ffff:1.2.3.4 and localAddr = ::", "event = ESTABLISHED and remoteAddr = 1.2.3.4 and localAddr = ::"},
		{3, "event == 7 or event = 9", "event = CLOSE or event = 9"},
		{4, "event == 9 and layer = 1 and priority < -5", "event = CLOSE and layer = NETWORK_FORWARD and priority < -5"},
	} {
		p := mustParse(t, tt.src, tt.layer)
		got, err := p.Format()
		if err != nil || got != tt.want {
			t.Errorf("%s %q:\n got %s, %v\nwant %s", tt.layer, tt.src, got, err, tt.want)
		}
	}
}

// sameWhenFormatted parses what Format writes, which must be the same program, and formats it again to the same text.
func sameWhenFormatted(t testing.TB, p *Program) {
	t.Helper()
	var opts []Option
	if p.compat22 {
		opts = []Option{Compat22()}
	}
	text, err := p.Format()
	if err != nil {
		t.Fatalf("%s %q: %v", p.layer, p, err)
	}
	q, err := Parse(text, p.layer, opts...)
	if err != nil {
		t.Fatalf("%s %q: formatted as %q: %v", p.layer, p, text, err)
	}
	got, _ := q.Object()
	if want, _ := p.Object(); got != want {
		t.Fatalf("%s %q: formatted as %q:\n got %s\nwant %s", p.layer, p, text, got, want)
	}
	if again, err := q.Format(); err != nil || again != text {
		t.Fatalf("%s %q: formatted as %q, and that as %q, %v", p.layer, p, text, again, err)
	}
}

// TestFormatVectors: parse after format is the identity on all programs of the vectors, from text and from object, in both modes.
func TestFormatVectors(t *testing.T) {
	n := 0
	each := func(layer addr.Layer, src string) {
		for _, opts := range [][]Option{nil, {Compat22()}} {
			p, err := Parse(src, layer, opts...)
			if err != nil {
				continue
			}
			n++
			sameWhenFormatted(t, p)
			object, _ := p.Object()
			sameWhenFormatted(t, mustParse(t, object, layer, opts...))
		}
	}
	vectors(t, "compile.tsv.gz", 3, func(_ int, col []string) {
		l, _ := strconv.Atoi(col[0])
		each(addr.Layer(l), col[1])
	})
	evalVectors(t, func(v *evalVector) { each(v.layer, v.src) })
	t.Logf("%d programs", n)
}

// words makes texts of which little is left: with constants, comparisons that are decided, tests that are never asked, and
// answers turned round.
func (d dice) words(depth int, field func() string) string {
	if depth == 0 || d.chance(20) {
		return d.one(field(), field(), field(), "true", "false", "not "+field(), "ip.TTL < 300", "tcp.Ack = 5")
	}
	sub := func() string { return d.words(depth-1, field) }
	switch d(6) {
	case 0, 1:
		return "(" + sub() + " ? " + sub() + " : " + sub() + ")"
	case 2, 3:
		return "(" + sub() + " or " + sub() + ")"
	case 4:
		return "(" + sub() + d.one(" ? false : true)", " ? true : true)", " ? false : "+sub()+")")
	}
	return "(" + sub() + ") and " + "(" + sub() + ")"
}

func countTokens(t testing.TB, src string) int {
	tokens, err := lex(src, addr.Network, true)
	if err != nil {
		t.Fatal(err)
	}
	return len(tokens) - 1
}

// TestFormatShapes: every shape that a text gives a program has a text, which is no longer than the one that it came from, but
// for a few in a hundred thousand, whose tests have nothing left to decide.
func TestFormatShapes(t *testing.T) {
	seed := rand.Uint64()
	d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
	rounds := 2000
	if os.Getenv("WEIR_LONG") != "" {
		rounds = 50_000
	}
	n, longer := 0, 0
	for range rounds {
		next := 0
		src := d.words(1+d(6), func() string { next++; return "ifIdx = " + strconv.Itoa(next) })
		for _, opts := range [][]Option{nil, {Compat22()}} {
			p, err := Parse(src, addr.Network, opts...)
			if err != nil {
				if strings.Contains(err.Error(), "(too-long") {
					continue
				}
				t.Fatalf("seed %d: %v", seed, err)
			}
			sameWhenFormatted(t, p)
			n++
			if text, _ := p.Format(); countTokens(t, text) > countTokens(t, src) {
				longer++
				t.Logf("%s\nbecame longer: %s", src, text)
			}
		}
	}
	if longer > 1+n/200 { // the text is found by rules that are not always the best
		t.Errorf("%d became longer", longer)
	}
	t.Logf("seed %d: %d programs, %d of them longer", seed, n, longer)
}

// TestFormatRandom: the filters of the other property tests, all layers.
func TestFormatRandom(t *testing.T) {
	seed := rand.Uint64()
	d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
	rounds := 5000
	if os.Getenv("WEIR_LONG") != "" {
		rounds = 200_000
	}
	n := 0
	for range rounds {
		layer := addr.Layer(d(addr.Layers))
		a := d.event(layer)
		_, src := d.filters(layer, &a, d.packet()).expr(3)
		for _, opts := range [][]Option{nil, {Compat22()}} {
			if p, err := Parse(src, layer, opts...); err == nil {
				sameWhenFormatted(t, p)
				n++
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("seed %d: %d programs", seed, n)
}

// TestFormatLimits: texts at the limits of texts have one when they are formatted, though indices in bytes take more tokens.
func TestFormatLimits(t *testing.T) {
	joined := func(n int, test, word string) string { return strings.TrimSuffix(strings.Repeat(test+word, n), word) }
	for name, src := range map[string]string{
		"and":                joined(255, "ifIdx = 1", " and "),
		"or":                 joined(255, "ifIdx = 1", " or "),
		"ternaries":          strings.Repeat("(ifIdx = 1 ? ifIdx = 2 : ", 127) + "ifIdx = 3" + strings.Repeat(")", 127),
		"in parentheses":     strings.Repeat("ifIdx = 1 and (ifIdx = 2 or ", 127) + "ifIdx=3" + strings.Repeat(")", 127),
		"turned round":       strings.Repeat("(", 127) + "ifIdx = 1" + strings.Repeat(" or ifIdx = 2 ? false : true)", 127),
		"leave at once":      strings.Repeat("(ifIdx = 1 ? false : ", 127) + "ifIdx = 3" + strings.Repeat(")", 127),
		"or of and":          joined(127, "ifIdx = 1 and ifIdx = 2", " or "),
		"indices":            joined(182, "packet[1] = 1", " and "),
		"indices alone":      joined(212, "packet32[-1]", " and "),
		"indices not":        joined(182, "packet16[1] = 0", " or "),
		"never asked":        "ifIdx = 1 and (true or " + joined(254, "tcp", " or ") + ")",
		"never asked first":  "ifIdx = 1 and (false ? " + joined(253, "tcp", " and ") + ": udp)",
		"parentheses":        parens(340, "tcp"),
		"longer than before": joined(35, "(((ifIdx = 1 ? false : ip) ? (ifIdx = 2 ? ifIdx = 3 : ifIdx = 4) : not tcp) or true)", " and "),
	} {
		start := countTokens(t, src)
		p := mustParse(t, src, addr.Network)
		sameWhenFormatted(t, p)
		if text, _ := p.Format(); countTokens(t, text) > maxTokens {
			t.Errorf("%s: %d tokens became %d", name, start, countTokens(t, text))
		}
	}
}

// TestFormatOfObjects: an object either has a text that is compiled to it, or a typed error says that it has none.
func TestFormatOfObjects(t *testing.T) {
	for _, tt := range []struct {
		layer        addr.Layer
		object, want string // the text, or part of the message
		code         Code
	}{
		{0, "@WinDiv_WX_eXWWAX", "tcp", 0},
		{0, "@WinDiv_WX_eWWWAX", "not tcp", 0},
		{0, "@WinDiv_WX_eXWWXA", "(tcp ? false : true)", 0},
		{0, "@WinDiv_WY_eXWWAX_fXWWAX", "tcp or false and udp", 0},
		{0, "@WinDiv_WX_WWWWAX", "a compiler decides the test zero", CodeBadObject},
		{0, "@WinDiv_WX_iaXWAX", "a compiler decides the test ip.TOS > -0", CodeBadObject},
		{0, "@WinDiv_Wa_eXWWLXLY_fXWWALZ_fXWWXLZ_fXWWAX", "no text was found", CodeBadObject},
	} {
		p, err := Parse(tt.object, tt.layer, Compat22())
		if err != nil {
			t.Errorf("%s: %v", tt.object, err)
			continue
		}
		got, err := p.Format()
		var e *Error
		if errors.As(err, &e) && (e.Code != tt.code || !strings.Contains(e.Msg, tt.want)) || err == nil && (tt.code != 0 || got != tt.want) {
			t.Errorf("%s: got %q, %v, want %s", tt.object, got, err, tt.want)
		}
	}
	seed := rand.Uint64()
	d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
	texts := 0
	for range 2000 {
		layer := addr.Layer(d(addr.Layers))
		a := d.event(layer)
		_, tests := d.program(d.filters(layer, &a, d.packet()))
		object, _ := (&Program{tests: tests}).Object()
		p := mustParse(t, object, layer, Compat22())
		if _, err := p.Format(); err == nil {
			texts++
			sameWhenFormatted(t, p)
		} else if e := (*Error)(nil); !errors.As(err, &e) || e.Code != CodeBadObject {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d: %d of 2000 random objects have a text", seed, texts)
}

// FuzzFormat: what is a program has the same one as its text, or, if it came as an object, a typed error.
func FuzzFormat(f *testing.F) {
	for _, src := range []string{
		mediumFilter, "(tcp ? udp : ip)", "tcp and (true or udp)", "tcp or true", "packet16[-9b] == 0x1f", "timestamp < -0", "@WinDiv_WY_eXWWAX_fXWWAX",
		"(tcp or udp ? false : ip.TTL = 300)", "event = CLOSE", "@WinDiv_Wa_eXWWLXLY_fXWWALZ_fXWWXLZ_fXWWAX",
	} {
		f.Add(src, uint8(0), true)
	}
	f.Fuzz(func(t *testing.T, src string, l uint8, compat22 bool) {
		var opts []Option
		if compat22 {
			opts = []Option{Compat22()}
		}
		p, err := Parse(src, addr.Layer(l%addr.Layers), opts...)
		if err != nil {
			return
		}
		if _, err := p.Format(); err != nil && strings.HasPrefix(src, objectPrefix) {
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeBadObject && e.Code != CodeTooLong {
				t.Fatal(err)
			}
			return
		}
		sameWhenFormatted(t, p)
	})
}
