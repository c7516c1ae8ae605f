package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

// TestTooDeep has a hundred texts and more that are nested too deeply. Where the condition of a ternary, or what stands in plain
// parentheses, is too deep, WinDivert calls that a parse error; so they nest behind question marks and colons, and it is the
// right side of an "or" that is too deep. To open three of the 1,024 levels takes three of the 1,277 tokens, and to close them
// three more: no such text is a whole filter.
func TestTooDeep(t *testing.T) {
	texts := map[string]bool{}
	for i := range 120 {
		var b strings.Builder
		const levels = 1024
		left := levels
		for step := 0; left > 2; step++ { // a test takes three levels, so at two it fails
			cond := []string{"tcp", "udp", "ip", "ipv6", "outbound"}[(i+step)%5]
			switch {
			case left < 6 || step%40 < i%7: // an or takes a level
				b.WriteString("icmp or ")
				left--
			case step%40 == 39 && i%3 == 0:
				fmt.Fprintf(&b, "(%s ? outbound : ", cond)
				left -= 3
			default:
				fmt.Fprintf(&b, "(%s? ", cond)
				left -= 3
			}
		}
		pos := b.Len()
		b.WriteString([]string{"tcp", "udp.DstPort == 53", "(ip)", "))", ""}[i%11%5])
		src := b.String()
		texts[src] = true
		for _, opts := range [][]Option{nil, {Compat22()}} {
			if e := parseError(t, src, addr.Network, opts...); e.Code != CodeTooDeep || e.Pos != pos {
				t.Errorf("%d: %s at %d, want %s at %d: %s", i, e.Code, e.Pos, CodeTooDeep, pos, clip(src))
			}
		}
	}
	if len(texts) < 100 {
		t.Errorf("only %d texts", len(texts))
	}
}

// TestTooLong has a hundred texts and more with too many tests, whose place is the start, and as many with too many tokens,
// whose place is the first of them, by the reference's tokenizer.
func TestTooLong(t *testing.T) {
	units := []string{
		"tcp", "not udp", "ip.TTL < 5", "tcp.DstPort == 443", "ifIdx", "!!icmp", "packet", "localPort = -1 or ifIdx = 2", "length != 99", "(outbound)",
	}
	texts := map[string]bool{}
	for i, unit := range units {
		if unit == "packet" {
			unit = "packet[1b] = 1"
		}
		for extra := range 6 {
			for _, src := range []string{
				strings.Repeat(unit+[]string{" and ", " or "}[extra%2], 256+extra) + "ip", // too many tests
				strings.Repeat(unit+" && ", 640+extra) + unit,                             // too many tokens
			} {
				pos := refTokenPos(t, src, 1277)
				if pos < 0 {
					pos = 0
				}
				if strings.HasPrefix(unit, "localPort") && pos == 0 {
					continue // -1 is decided and leaves no test
				}
				texts[src] = true
				for _, opts := range [][]Option{nil, {Compat22()}} {
					if e := parseError(t, src, addr.Network, opts...); e.Code != CodeTooLong || e.Pos != pos {
						t.Errorf("%d: %s at %d, want %s at %d: %s", i, e.Code, e.Pos, CodeTooLong, pos, clip(src))
					}
				}
			}
		}
	}
	if len(texts) < 100 {
		t.Errorf("only %d texts", len(texts))
	}
}

// refTokenPos returns where token n begins, counted from 0, or -1 if there are no more than n. A glued suffix b is a token.
func refTokenPos(t *testing.T, src string, n int) int {
	rest := src
	for i := 0; ; i++ {
		rest = strings.TrimLeft(rest, " ")
		if rest == "" {
			return -1
		}
		if i >= n {
			return len(src) - len(rest)
		}
		m := refToken.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("reference: no token at %q", rest)
		}
		if strings.HasSuffix(m[1], "b") && m[1][0] <= '9' {
			i++
		}
		rest = rest[len(m[1]):]
	}
}
