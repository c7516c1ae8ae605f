package set

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func parse(t *testing.T, texts ...string) *Set {
	t.Helper()
	var all []Entry
	for _, text := range texts {
		e, err := ParseEntry(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	s, err := New(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A set says of every address what asking its entries one by one says, and finds one of them.
func TestSetIsItsEntries(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		n := rapid.Uint8Range(0, 24).Draw(t, "n")
		if rapid.Bool().Draw(t, "v6") {
			return netip.AddrFrom16([16]byte{0xfd, 7: n / 8, 15: n})
		}
		return netip.AddrFrom4([4]byte{10, 0, n / 8, n})
	})
	rapid.Check(t, func(t *rapid.T) {
		var entries []Entry
		for range rapid.IntRange(0, 12).Draw(t, "entries") {
			a, b := address.Draw(t, "a"), address.Draw(t, "b")
			text := fmt.Sprint(netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked())
			if a.Is4() == b.Is4() && a.Compare(b) <= 0 && rapid.Bool().Draw(t, "range") {
				text = fmt.Sprintf("%v-%v", a, b)
			}
			e, err := ParseEntry(text)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseEntry(e.String()); err != nil || again != e {
				t.Fatalf("%s is written %s, which is %v, %v", text, e, again, err)
			}
			entries = append(entries, e)
		}
		s, err := New(entries)
		if err != nil {
			t.Fatal(err)
		}
		a := address.Draw(t, "asked")
		one, want := entryOf(a), false
		for i := range entries {
			want = want || entries[i].holds(&one)
		}
		if _, found := s.Find(a); s.HasAddr(a) != want || found != want {
			t.Fatalf("%v in %v: %v, found %v, want %v", a, entries, s.HasAddr(a), found, want)
		}
	})
}

// scattered are n prefixes all over IPv4, and at its ends.
func scattered(n int) []Entry {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	entries := make([]Entry, 0, n+2)
	for _, text := range []string{"0.0.0.0", "255.255.255.255"} {
		e, _ := ParseEntry(text)
		entries = append(entries, e)
	}
	for range n {
		a := r.Uint32()
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 12+r.IntN(21)).Masked()
		e, _ := ParseEntry(p.String())
		entries = append(entries, e)
	}
	return entries
}

// Large sets are asked by another way, and say the same.
func TestLargeSetIsItsEntries(t *testing.T) {
	entries := scattered(1500)
	s, err := New(entries)
	if err != nil || s.coarse == nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2, 3))
	asked := []uint32{0, 1, 1<<32 - 1, 1<<32 - 2, 1<<16 - 1, 1 << 16}
	for _, e := range entries {
		asked = append(asked, uint32(e.lo.lo), uint32(e.lo.lo)-1, uint32(e.hi.lo), uint32(e.hi.lo)+1, r.Uint32())
	}
	for _, a := range asked {
		want := slices.ContainsFunc(entries, func(e Entry) bool { return e.lo.lo <= uint64(a) && uint64(a) <= e.hi.lo })
		if s.Has4(a) != want {
			t.Fatalf("%08x: %v", a, !want)
		}
	}
}

func TestPorts(t *testing.T) {
	s := parse(t, "25", "465", "8000-8100", "65535", "0")
	for p, want := range map[uint16]bool{0: true, 1: false, 25: true, 24: false, 26: false, 7999: false, 8000: true, 8100: true, 8101: false, 65535: true, 65534: false} {
		if s.HasPort(p) != want {
			t.Errorf("port %d: %v", p, !want)
		}
	}
	if e, ok := s.FindPort(8050); !ok || e.String() != "8000-8100" {
		t.Errorf("%v, %v", e, ok)
	}
	if s.HasAddr(netip.MustParseAddr("0.0.0.25")) {
		t.Error("a port is an address")
	}
}

func TestWholeSpaces(t *testing.T) {
	s := parse(t, "0.0.0.0/0", "255.255.255.255", "::/0", "ffff::/16", "::ffff:1.2.3.4")
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if !s.HasAddr(netip.MustParseAddr(a)) {
			t.Error(a)
		}
	}
	if k := s.Keys(); len(k) != 1 || k[0] != (Key{0, 1<<64 - 1}) || s.HasAddr(netip.Addr{}) {
		t.Errorf("%v", k)
	}
}

func TestWrongEntries(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "is no entry of a set",
		"here":               "is no entry of a set",
		"65536":              "is no entry of a set",
		"010":                "is no entry of a set",
		"+7":                 "is no entry of a set",
		"fe80::1%eth0":       "is no entry of a set",
		"10.0.0.1/8":         "has bits behind its prefix; write 10.0.0.0/8",
		"10.0.0.0/33":        "is no prefix",
		"::ffff:1.2.3.0/120": "is no prefix",
		"9-7":                "ends before it begins",
		"10.0.0.1-fd00::1":   "is no range",
		"10.0.0.1-7":         "is no range",
		"1-2-3":              "is no range",
	} {
		if _, err := ParseEntry(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	a, _ := ParseEntry("10.0.0.1")
	p, _ := ParseEntry("7")
	if _, err := New([]Entry{a, p}); err != ErrMixed {
		t.Error(err)
	}
	if _, err := New(make([]Entry, EntriesMax+1)); err != ErrTooMany {
		t.Error(err)
	}
}

func TestEqual(t *testing.T) {
	var none *Set
	a, b := parse(t, "10.0.0.0/25", "10.0.0.128/25"), parse(t, "10.0.0.0/24")
	if !a.Equal(b) || a.Equal(parse(t, "10.0.0.0/23")) || a.Equal(none) || !none.Equal(parse(t)) || parse(t, "7").Equal(parse(t, "0.0.0.7")) {
		t.Error("equal is what holds the same")
	}
	if none.Has4(1) || none.HasPort(1) || none.Has6(1, 1) || none.Kind() != Empty || len(none.Keys()) != 0 || none.Keys() == nil {
		t.Error("nil is not empty")
	}
}

func TestOverlaps(t *testing.T) {
	s := parse(t, "10.0.0.0/8", "10.1.0.0/16", "10.255.0.0-11.0.0.0", "11.0.0.0", "12.0.0.0", "12.0.0.0", "::1", "::2")
	first, n := s.Overlaps(3)
	got := ""
	for _, o := range first {
		got += fmt.Sprintf("%v %v %v %v\n", o.Entry, o.With, o.Same, o.Whole)
	}
	if want := "10.1.0.0/16 10.0.0.0/8 false true\n10.255.0.0-11.0.0.0 10.0.0.0/8 false false\n11.0.0.0 10.255.0.0-11.0.0.0 false true\n"; got != want || n != 4 {
		t.Errorf("%d:\n%s", n, got)
	}
}

func TestParseFile(t *testing.T) {
	entries, wrong := ParseFile("f", "\ufeff# a list\r\n10.0.0.1 # one\r\n\n  10.0.0.1/8\n443\nfd00::/8")
	if len(entries) != 2 || entries[0].Line != 2 || entries[1].Line != 6 || entries[1].File != "f" || len(wrong) != 2 {
		t.Fatalf("%+v, %v", entries, wrong)
	}
	if got := wrong[0].Error(); got != `4:3: "10.0.0.1/8" has bits behind its prefix; write 10.0.0.0/8, or the address without its length` {
		t.Error(got)
	}
	if got := wrong[1].Error(); got != `5:1: "443" is one of ports in a set of addresses; put it into a set of its own` {
		t.Error(got)
	}
	if _, wrong := ParseFile("f", strings.Repeat("x\n", 1000)); len(wrong) != wrongMax+1 {
		t.Errorf("%d errors", len(wrong))
	}
}

// many is a set file of so many entries that do not touch.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d.%d.%d.%d\n", 1+i>>23, i>>15&255, i>>7&255, i<<1&255)
	}
	return b.String()
}

// A hundred thousand entries are asked without allocation. BenchmarkParseFile says how long they take to be read.
func TestHundredThousand(t *testing.T) {
	entries, wrong := ParseFile("f", many(100_000))
	s, err := New(entries)
	if err != nil || len(wrong) > 0 || len(s.narrow) != 100_000 {
		t.Errorf("%v, %v, %d spans", err, wrong, len(s.narrow))
	}
	in := 0
	if n := testing.AllocsPerRun(1000, func() {
		if s.Has4(1<<24|uint32(in)) || s.Has6(7, uint64(in)) {
			in++
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHas4(b *testing.B) {
	s, _ := New(scattered(100_000))
	for i := 0; b.Loop(); i++ {
		s.Has4(uint32(i) * 2654435761)
	}
}

func BenchmarkParseFile(b *testing.B) {
	text := many(100_000)
	for b.Loop() {
		entries, _ := ParseFile("f", text)
		if _, err := New(entries); err != nil {
			b.Fatal(err)
		}
	}
}

// Any text is entries that make a set, and errors at places inside of it.
func FuzzParseFile(f *testing.F) {
	for _, s := range []string{"10.0.0.1\n# x\n10.0.0.0/8 # y\nfd00::1-fd00::9\n", "443\n8000-8100\r\n", "::ffff:1.2.3.4", "\ufeff1\n2.3.4.5", "-", "1-", "/8", "\xff#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, wrong := ParseFile("f", text)
		s, err := New(entries)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, e := range wrong {
			if e.Line < 1 || e.Line > lines || e.Column < 1 || e.Err == nil {
				t.Errorf("error at %d:%d of %d lines: %v", e.Line, e.Column, lines, e.Err)
			}
		}
		for _, e := range entries {
			again, err := ParseEntry(e.String())
			if err != nil || again.lo != e.lo || again.hi != e.hi || again.kind != e.kind {
				t.Errorf("%v is read as %v, %v", e, again, err)
			}
			if _, found := s.find(e); !found {
				t.Errorf("%v is not found", e)
			}
		}
		s.Overlaps(3)
		s.Keys()
	})
}

// However large a set is, its keys are few, in order and apart, and all of it lies in them.
func TestKeysCoverTheSet(t *testing.T) {
	var entries []Entry
	for i := range 5000 {
		for _, text := range []string{fmt.Sprintf("10.%d.%d.7", i/250, i%250), fmt.Sprintf("2001:db8:%x::/48", 2*i)} {
			e, err := ParseEntry(text)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
	}
	s, err := New(entries)
	if err != nil {
		t.Fatal(err)
	}
	keys := s.Keys()
	if len(keys) == 0 || len(keys) > KeysMax {
		t.Fatalf("%d keys", len(keys))
	}
	for i := 1; i < len(keys); i++ {
		if keys[i].Lo <= keys[i-1].Hi {
			t.Fatalf("%v stands before %v", keys[i-1], keys[i])
		}
	}
	for _, e := range entries {
		lo, hi := e.lo.lo, e.hi.lo
		if e.v6 {
			lo, hi = e.lo.hi, e.hi.hi
		}
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Lo <= lo && hi <= k.Hi }) {
			t.Fatalf("%v is in none of the keys", e)
		}
	}
}
