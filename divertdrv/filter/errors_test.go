package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirnet/weir/divertdrv/addr"
)

// parseError parses src, which must fail.
func parseError(t *testing.T, src string, layer addr.Layer, opts ...Option) *Error {
	t.Helper()
	_, err := Parse(src, layer, opts...)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s %q: got %v, want an error", layer, clip(src), err)
	}
	return e
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// contexts are what a faulty piece of text can stand in without a change of its error but for the place.
var contexts = []string{
	"%s", "  %s ", "tcp and %s", "udp or tcp and %s", "not tcp or %s or ip", "tcp\n&&\t%s", "(tcp ? %s : udp)", "(tcp ? udp : %s )",
	"ip.TTL < 5 || %s", "packet16[-1] = 1 and %s and udp",
}

// TestErrorPlaces has a hundred texts and more for every code that a text can cause, each with the place of its error. A fault
// is written with its position.
func TestErrorPlaces(t *testing.T) {
	type fault struct {
		pos  int
		text string
	}
	for _, tt := range []struct {
		code   Code
		layer  addr.Layer
		faults []fault
	}{
		{CodeBadToken, addr.Network, []fault{
			{0, "tcp.Foo"},
			{0, "Tcp"},
			{5, "tcp & udp"},
			{5, "tcp | udp"},
			{14, "ip.SrcAddr == 1.2.3"},
			{14, "ip.SrcAddr == 1.2.3.256"},
			{16, "ipv6.SrcAddr == 2001:db8:::1"},
			{7, "tcp == 0X10"},
			{7, "tcp == 340282366920938463463374607431768211456"},
			{7, "tcp == 1_000"},
			{8, "tcp == 'a'"},
			{22, "ip.DstAddr = 10.0.0.0/8"},
			{0, strings.Repeat("a", 40)},
		}},
		{CodeBadTokenForLayer, addr.NetworkForward, []fault{
			{0, "processId == 4"},
			{0, "endpointId"},
			{0, "parentEndpointId"},
			{1, "!layer"},
			{0, "priority < 0"},
			{4, "not inbound"},
			{0, "outbound"},
			{0, "loopback"},
			{0, "localAddr == 1.1.1.1"},
			{0, "remotePort = 1"},
			{0, "protocol = TCP"},
		}},
		{CodeParse, addr.Network, []fault{
			{4, "not (tcp)"},
			{0, "1 == 1"},
			{4, "tcp udp"},
			{7, "tcp == udp"},
			{3, "tcp[0]"},
			{7, "packet == 1"},
			{7, "packet[tcp]"},
			{9, "event == CLOSE"},
			{9, "tcp == 1 2"},
			{4, "tcp not udp"},
			{0, "== 1"},
			{9, "packet[1 - 2]"},
			{6, "tcp = == 1"},
		}},
		{CodeIndexOutOfBounds, addr.Network, []fault{
			{12, "packet[65535]"},
			{7, "packet[65576]"},
			{8, "packet[-65576]"},
			{9, "packet[-0]"},
			{15, "packet16[65534b]"},
			{15, "packet32[65532b]"},
			{17, "tcp.Payload32[-3b]"},
			{19, "udp.Payload32[16384]"},
			{17, "udp.Payload[65535] == 1"},
			{7, "packet[0.0.0.0]"},
			{14, "packet[-65536b] == 1"},
		}},
	} {
		n := 0
		for _, f := range tt.faults {
			for _, c := range contexts {
				before, _, _ := strings.Cut(c, "%s")
				for _, opts := range [][]Option{nil, {Compat22()}} {
					src := fmt.Sprintf(c, f.text)
					if e := parseError(t, src, tt.layer, opts...); e.Code != tt.code || e.Pos != len(before)+f.pos || e.Src != src {
						t.Errorf("%q: %s at %d, want %s at %d", src, e.Code, e.Pos, tt.code, len(before)+f.pos)
					}
				}
				n++
			}
		}
		if n < 100 {
			t.Errorf("%s: only %d texts", tt.code, n)
		}
	}
}

// TestErrorsInParentheses: within parentheses, but not behind their question mark, every error is a parse error.
func TestErrorsInParentheses(t *testing.T) {
	for _, tt := range []struct {
		src  string
		code Code
		pos  int
	}{
		{"packet[70000]", CodeIndexOutOfBounds, 7},
		{"(packet[70000])", CodeParse, 8},
		{"(packet[70000] ? tcp : udp)", CodeParse, 8},
		{"(tcp ? packet[70000] : udp)", CodeIndexOutOfBounds, 14},
		{"(tcp ? udp : packet[70000])", CodeIndexOutOfBounds, 20},
		{"((tcp ? udp : packet[70000]))", CodeParse, 21},
		{strings.Repeat("(", 341) + "tcp" + strings.Repeat(")", 341), CodeParse, 341},
	} {
		if e := parseError(t, tt.src, addr.Network); e.Code != tt.code || e.Pos != tt.pos {
			t.Errorf("%q: %s at %d, want %s at %d", clip(tt.src), e.Code, e.Pos, tt.code, tt.pos)
		}
	}
}

// TestBadWordBeforeColon: where a colon was taken from a bad word, WinDivert counts one byte too few.
func TestBadWordBeforeColon(t *testing.T) {
	if e := parseError(t, "(tcp ? foo: udp)", addr.Network); e.Pos != 6 {
		t.Errorf("got %d, want 6", e.Pos)
	}
	if e := parseError(t, "foo:", addr.Network); e.Pos != 0 {
		t.Errorf("got %d, want 0", e.Pos)
	}
	e := parseError(t, "foo:", addr.Network, Compat22())
	if e.Pos != 1<<32-1 {
		t.Errorf("got %d, want what WinDivert says", e.Pos)
	}
	if !strings.HasSuffix(e.Error(), "\n  foo:\n  ^") {
		t.Errorf("got %q, want a caret below foo", e.Error())
	}
}

// TestErrorTextOfBytes: whatever the text is made of, its window is valid, and cut between characters.
func TestErrorTextOfBytes(t *testing.T) {
	for _, src := range []string{strings.Repeat("é", 40) + "x", "tcp == 1.2.3 " + strings.Repeat("é", 40), "\xff\xfe\x00\x7f", " \x1b[31m"} {
		got := parseError(t, src, addr.Network).Error()
		if _, line, _ := strings.Cut(got, "\n"); !utf8.ValidString(got) || strings.ContainsAny(line, "\x00\x1b\x7f\ufffd") {
			t.Errorf("%q: %q", src, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	long := strings.Repeat("tcp or ", 30)
	for _, tt := range []struct{ src, want string }{
		{"tcp.Port == 80", "filter: unknown name \"tcp.Port\"; did you mean tcp.SrcPort or tcp.DstPort? (bad-token at byte 0)\n  tcp.Port == 80\n  ^"},
		{"tcp\n\tand udp)", "filter: unexpected ), where \"and\", \"or\" or the end is expected (parse at byte 12)\n  tcp  and udp)\n              ^"},
		{"tcp == é", "filter: unknown character 'é' (bad-token at byte 8)\n  tcp == é\n         ^"},
		{"", "filter: the filter is empty; true matches everything (parse at byte 0)\n  \n  ^"},
		{
			long + "bad or " + long,
			"filter: unknown name \"bad\" (bad-token at byte 210)\n" +
				"  … tcp or tcp or tcp or tcp or tcp or tcp or tcp or bad or tcp or tcp or tcp or tcp or tcp or tcp or t…\n" +
				"                                                     ^",
		},
	} {
		if got := parseError(t, tt.src, addr.Network).Error(); got != tt.want {
			t.Errorf("got\n%s\nwant\n%s", got, tt.want)
		}
	}
}

func TestHints(t *testing.T) {
	for _, tt := range []struct {
		layer     addr.Layer
		src, want string
	}{
		{0, "not (tcp and udp)", "not applies to one test, not to parentheses"},
		{0, "!(tcp)", "not applies to one test, not to parentheses"},
		{0, "udp.Port == 53", "did you mean udp.SrcPort or udp.DstPort?"},
		{0, "tcp.dstport == 80", "did you mean tcp.DstPort?"},
		{0, "tcp.Dsport == 80", "did you mean tcp.DstPort?"},
		{0, "protocol == tcp", "tcp is a field; the number is TCP"},
		{0, "protocol == Tcp", "did you mean tcp or TCP?"},
		{3, "event == connect", "did you mean CONNECT?"},
		{0, "event == connect", "CONNECT exists only at socket"},
		{0, "event == CONNECT", "CONNECT is no value at this layer, only at socket"},
		{0, "tcp AND udp", "did you mean and?"},
		{0, "tcp & udp", `"and" is written and, or &&`},
		{0, "tcp | udp", `"or" is written or, or ||`},
		{0, "ip.DstAddr == 10.9.9.9/8", "ip.DstAddr >= 10.0.0.0 and ip.DstAddr <= 10.255.255.255"},
		{0, "ipv6.SrcAddr == 2001:db8::1/33", "ipv6.SrcAddr >= 2001:db8:: and ipv6.SrcAddr <= 2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
		{0, "ipv6.SrcAddr == ::/0", "ipv6.SrcAddr >= :: and ipv6.SrcAddr <= ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{0, "ip.DstAddr == 10.0.0.0/33", "there are no prefixes"},
		{0, "tcp / udp", "there are no prefixes"},
		{0, "tcp.DstPort == 80-90", "tcp.DstPort >= 80 and tcp.DstPort <= 90"},
		{0, "tcp.DstPort in {80}", "there are no lists"},
		{0, "tcp.DstPort == {80}", "there are no lists"},
		{0, "tcp ~ udp", "there are no patterns"},
		{0, "port 80", "tcp.DstPort"},
		{0, "http.Host == 1", "bytes behind these are tcp.Payload[i]"},
		{0, `tcp == "x"`, "without quotes"},
		{0, "tcp ? udp : ip", "write (a ? b : c)"},
		{0, "TCP", "TCP is a number; the field is tcp"},
		{0, "80 == tcp.DstPort", "80 is a number, which only stands behind a field"},
		{0, "tcp.SrcPort == tcp.DstPort", "a field can only be compared with a number"},
		{0, "ip.TTL == 5b", "belongs to an index"},
		{0, "tcp[13]", "only packet and payload fields take an index"},
		{0, "packet == 5", "as in packet[0]"},
		{0, "ip.SrcAddr == 1.2.3", "four parts of 0 to 255"},
		{0, "ipv6.SrcAddr == 2001:db8", "is no IPv6 address"},
		{0, "ipv6.SrcAddr == 1::2::3", "is no IPv6 address"},
		{0, "tcp udp", `"and" or "or" is missing before udp`},
		{2, "tcp.DstPort == 80", "only at network and forward; here it is localPort or remotePort"},
		{3, "ip.SrcAddr == 1.1.1.1", "here it is localAddr or remoteAddr"},
		{3, "ip.Protocol == TCP", "here it is protocol"},
		{1, "localAddr == 1.1.1.1", "a forwarded packet has ip.SrcAddr"},
		{0, "processId == 4", "only at flow, socket and reflect"},
		{0, strings.Repeat("(", 400), "nested too deeply"},
		{0, "timestamp == -0", "write 0"},
		{0, "tcp.SeqNum == 0x100000000", "tcp.SeqNum is at most 4294967295"},
	} {
		if e := parseError(t, tt.src, tt.layer); !strings.Contains(e.Msg, tt.want) {
			t.Errorf("%s %q: %s; want %q", tt.layer, tt.src, e.Msg, tt.want)
		}
	}
}

func TestCodeString(t *testing.T) {
	if got := CodeIndexOutOfBounds.String(); got != "index-out-of-bounds" {
		t.Error(got)
	}
	if got := Code(99).String(); got != "unknown" {
		t.Error(got)
	}
}
