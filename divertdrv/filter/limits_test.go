package filter

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

// repeated returns n tests joined by or, none of which folds.
func repeated(n int, test string) string {
	return strings.TrimSuffix(strings.Repeat(test+" or ", n), " or ")
}

func parens(n int, inner string) string {
	return strings.Repeat("(", n) + inner + strings.Repeat(")", n)
}

func TestLimits(t *testing.T) {
	const max128 = "340282366920938463463374607431768211455"
	word := strings.Repeat("a", 39)
	for _, tt := range []struct {
		name, src string
		want      string // "": accepted
	}{
		{"255 tests", repeated(255, "tcp"), ""},
		{"256 tests, which WinDivert writes as none", repeated(256, "tcp"), "error too-long 0"},
		{"257 tests", repeated(257, "tcp"), "error too-long 0"},
		{"255 tests that WinDivert emits, of which we need none", repeated(255, "ip.TTL = 300"), ""},
		{"256 tests that WinDivert emits", repeated(256, "ip.TTL = 300"), "error too-long 0"},
		{"tests that are folded count for nothing", repeated(600, "true"), ""},
		{"256 tests of which none is needed", "false and (" + repeated(256, "tcp") + ")", ""},
		{"257 tests of which none is needed", "false and (" + repeated(257, "tcp") + ")", "error too-long 0"},
		{"1277 tokens", strings.Repeat("not ", 1276) + "tcp", ""},
		{"1278 tokens", strings.Repeat("not ", 1277) + "tcp", "error too-long 5108"},
		{"1277 tokens and white space", strings.Repeat("!", 1276) + "tcp \n", ""},
		{"340 parentheses", parens(340, "tcp"), ""},
		{"341 parentheses", parens(341, "tcp"), "error parse 341"},
		{"340 parentheses around an or", parens(340, "tcp or udp"), ""},
		{"340 parentheses around three", parens(340, "tcp or udp or ip"), "error parse 354"},
		{"a word of 39", "tcp or " + word, "error bad-token 7"},
		{"a number of 39 digits", "tcp = " + strings.Repeat("0", 38) + "1", ""},
		{"a number of 40 digits", "tcp = " + strings.Repeat("0", 39) + "1", "error bad-token 6"},
		{"an address of 39 characters", "ipv6.SrcAddr = ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
		{"the greatest number", "ipv6.SrcAddr = " + max128, ""},
		{"one more", "ipv6.SrcAddr = 340282366920938463463374607431768211456", "error bad-token 15"},
		{"the greatest in hexadecimal", "ipv6.SrcAddr = 0x" + strings.Repeat("f", 32), ""},
		{"a digit more", "ipv6.SrcAddr = 0x1" + strings.Repeat("0", 32), "error bad-token 15"},
		{"leading zeros", "ipv6.SrcAddr = 0x0" + strings.Repeat("f", 32), ""},
	} {
		for _, opts := range [][]Option{nil, {Compat22()}} {
			_, err := Parse(tt.src, addr.Network, opts...)
			got := ""
			if err != nil {
				got = errorColumn(err)
			}
			if got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
			}
		}
	}
}

// TestDriverLimits: what WinDivert's compiler passes and its driver refuses is refused, but for Compat22.
func TestDriverLimits(t *testing.T) {
	for _, tt := range []struct {
		layer     addr.Layer
		src, want string
	}{
		{0, "timestamp > -0", "error bad-token 13"},
		{4, "priority == -0", "error bad-token 13"},
		{0, "impostor < -0", "error bad-token 12"},
		{0, "ip.TTL == -0", ""},                                  // folded: the driver never sees it
		{0, "icmpv6.Body >= -0x300000000", "error bad-token 16"}, // the driver would see -0
		{0, "icmpv6.Body >= -0x300000001", ""},
		{0, "tcp.SeqNum == 0xffffffff", ""},
		{0, "tcp.SeqNum == 0x100000000", "error bad-token 14"},
		{0, "tcp.AckNum < 0x100000000", "error bad-token 13"},
		{0, "icmp.Body != 4294967296", "error bad-token 13"},
		{0, "icmpv6.Body > ::1:0:0", "error bad-token 14"},
		{0, "loopback == 0x100000000", "error bad-token 12"},
		{1, "impostor == 0x100000000", "error bad-token 12"},
		{1, "packet32[0] == 0x100000000", "error bad-token 15"},
		{1, "tcp.Payload32[0] == 0x100000000", ""}, // folded
		{0, "ip.TOS <= 255", ""},
		{0, "ip.TOS <= 256", "error bad-token 10"},
		{0, "ip.TOS <= 65535", ""}, // folded
		{0, "loopback > -5", ""},
		{0, "tcp or not tcp.SeqNum = 0x100000000 and udp", "error bad-token 24"},
		{0, "true or tcp.SeqNum == 0x100000000", ""}, // not in the program
	} {
		got := ""
		if _, err := Parse(tt.src, tt.layer); err != nil {
			got = errorColumn(err)
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.src, got, tt.want)
		}
		if _, err := Parse(tt.src, tt.layer, Compat22()); err != nil {
			t.Errorf("Compat22, %q: %v", tt.src, err)
		}
	}
}

// TestHugeTexts: any text is refused or compiled after one pass, since there are no more tokens than maxTokens, and in bounded
// memory.
func TestHugeTexts(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct{ name, src, want string }{
		{"parentheses", strings.Repeat("(", mib), "error too-long 1277"},
		{"a million clauses", repeated(1_000_000, "tcp"), "error too-long 4470"},
		{"one word", strings.Repeat("a", mib), "error bad-token 0"},
		{"one number", "tcp = " + strings.Repeat("1", mib), "error bad-token 6"},
		{"colons", strings.Repeat(":", mib), "error bad-token 0"},
		{"white space", strings.Repeat(" ", mib), fmt.Sprintf("error parse %d", mib)},
		{"ignored suffixes", strings.Repeat("b ", mib) + "tcp", ""},
		{"negations", strings.Repeat("!", mib), "error too-long 1277"},
		{"ternaries", strings.Repeat("(tcp ? ", mib), "error too-long 2980"},
		{"NUL", strings.Repeat("\x00", mib), "error bad-token 1"},
		{"an object", objectPrefix + strings.Repeat("W", mib), "error bad-object 0"},
	} {
		got := ""
		allocated := testing.AllocsPerRun(1, func() {
			if _, err := Parse(tt.src, addr.Network); err != nil {
				got = errorColumn(err)
				if n := len(err.Error()); n > 1000 {
					t.Errorf("%s: an error text of %d bytes", tt.name, n)
				}
			}
		})
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if allocated > 1000 {
			t.Errorf("%s: %v allocations", tt.name, allocated)
		}
		if n := allocatedBytes(func() { _, _ = Parse(tt.src, addr.Network) }); n > 512<<10 {
			t.Errorf("%s: %d bytes", tt.name, n)
		}
	}
}

func allocatedBytes(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHeaviestPrograms: the optimiser's work is bounded too, on the longest programs with the most ways through them.
func TestHeaviestPrograms(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	d := dice(rng.IntN)
	for range 20 {
		a := d.event(addr.Network)
		f := d.filters(addr.Network, &a, d.packet())
		f.fields = []string{"tcp.DstPort", "tcp.SrcPort", "ip.TTL", "tcp"}[:1+d(4)]
		tests := f.tests(maxTests, 1+d(60))
		if n := allocatedBytes(func() { lower(tests, addr.Network, false) }); n > 32<<20 {
			t.Errorf("%d bytes", n)
		}
	}
}
