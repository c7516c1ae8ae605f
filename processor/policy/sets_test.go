package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const setFilter = "filters: [{name: a, layer: outbound-transport, action: block, conditions: [{field: ip-remote-address, set: s}]}]\n"

// A set is its entries and those of its file, which is one of the policy's files and below its directory.
func TestSets(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"p.yaml": v1 + "include: [d/in.yaml]\nsets: [{name: s, entries: [192.0.2.1, 'fd00::/8'], file: lists/s.txt}, {name: m, entries: [25, 80-90]}]\n" +
			"filters: [{name: a, layer: outbound-transport, action: block, when: tcp, conditions: [{field: ip-remote-port, value: 1}, {field: ip-remote-address, match: not-in, set: s}, " +
			"{field: ip-remote-port, match: in, set: m}]}]\n",
		"lists/s.txt": "# two\n198.51.100.0/24\n203.0.113.1-203.0.113.9 # of them\n",
		"d/in.yaml":   v1 + "sets: [{name: i, file: i.txt}]\nfilters: [{name: i, layer: ipforward, action: block, conditions: [{field: ip-source-address, set: i}]}]\n",
		"d/i.txt":     "10.0.0.1\n",
	})
	f, err := Load(filepath.Join(dir, "p.yaml"), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Sets) != 3 || f.Sets[1].Len() != 4 || len(f.Files) != 4 || f.Lint() != nil {
		t.Errorf("%+v, %v, %v", f.Sets, f.Files, f.Lint())
	}
	const want = "((tcp) and (tcp.DstPort == 1 or udp.DstPort == 1)) and ip-remote-address not-in s and ip-remote-port in m"
	if got := f.Filters[1].Conditions(); got != want {
		t.Error(got)
	}
	if h := f.Handles[0].Filter.String(); !strings.Contains(h, "tcp.DstPort == 1") {
		t.Errorf("handle %s", h)
	}
	var settings []string
	for _, s := range f.Settings() {
		if strings.HasPrefix(s.Key, "sets.") {
			settings = append(settings, s.Key+"="+s.Value)
		}
	}
	if got := strings.Join(settings, " "); got != "sets.i.file=i.txt sets.s.entries=192.0.2.1, fd00::/8 sets.s.file=lists/s.txt sets.m.entries=25, 80-90" {
		t.Error(got)
	}
}

// Small sets narrow what the kernel hands over, large ones and what is not in a set do not.
func TestSetsNarrowHandles(t *testing.T) {
	var large strings.Builder
	for i := range 200 {
		fmt.Fprintf(&large, "10.0.%d.1\n", i)
	}
	dir := writeTree(t, map[string]string{"large.txt": large.String()})
	for _, c := range []struct{ conditions, want string }{
		{"{field: ip-remote-port, set: m}", "(outbound and ((tcp.DstPort == 25 or udp.DstPort == 25)))"},
		{"{field: ip-remote-address, set: s}", "(outbound and ((ip.DstAddr == 192.0.2.1 or (ipv6.DstAddr >= fd00:: and ipv6.DstAddr <= fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff))))"},
		{"{field: ip-protocol, value: udp}, {field: ip-remote-address, set: l}", "(outbound and ((protocol == 17)))"},
		{"{field: ip-remote-address, set: l}", "true"},
		{"{field: ip-remote-address, match: not-in, set: s}", "true"},
	} {
		path := filepath.Join(dir, "p.yaml")
		text := v1 + "sets: [{name: s, entries: [192.0.2.1, 'fd00::/8']}, {name: m, entries: [25]}, {name: l, file: large.txt}]\n" +
			"filters: [{name: a, layer: outbound-transport, action: block, conditions: [" + c.conditions + "]}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Load(path, testOptions)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Handles[0].Filter.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.conditions, got, c.want)
		}
	}
}

// What is wrong with sets is told all at once, each where it stands; no file outside of the policy's directory is read.
func TestWrongSets(t *testing.T) {
	secret := filepath.Join(writeTree(t, map[string]string{"secret.txt": "10.0.0.1\n"}), "secret.txt")
	for _, c := range []struct{ text, want string }{
		{"sets: [{name: s, file: bad.txt}]\n" + setFilter, `bad.txt:2:1: "here" is no entry of a set; write 192.0.2.7`},
		{"sets: [{name: s, file: bad.txt}]\n" + setFilter, `bad.txt:3:1: "7" is one of ports in a set of addresses; put it into a set of its own`},
		{"sets: [{name: s, file: ../x.txt}]\n" + setFilter, `p.yaml:2:24: "../x.txt" leads out of the policy's directory`},
		{"sets: [{name: s, file: " + secret + "}]\n" + setFilter, "leads out of the policy's directory"},
		{"sets: [{name: s, file: link.txt}]\n" + setFilter, "a symlink leads out of the policy's directory"},
		{"sets: [{name: s, file: none.txt}]\n" + setFilter, `"none.txt" cannot be read`},
		{"sets: [{name: s, file: '.'}]\n" + setFilter, "leads out of the policy's directory"},
		{"sets: [{name: s}]\n" + setFilter, `a set needs the key "entries" or "file"`},
		{"sets: [{name: s, entries: [10.0.0.1, 7]}]\n" + setFilter, `p.yaml:2:38: "7" is one of ports in a set of addresses`},
		{"sets: [{name: s, entries: [10.0.0.1/8]}]\n" + setFilter, `has bits behind its prefix; write 10.0.0.0/8`},
		{"sets: [{name: s, entries: [7], file: good.txt}]\n" + setFilter, "the file has addresses, and the set has ports; make two sets"},
		{"sets: [{name: s, entries: [7]}]\n" + setFilter, "(FWP_E_TYPE_MISMATCH)"},
		{"sets: [{name: s, entries: [7]}, {name: s, entries: [8]}]\n", `set "s" is defined at line 2 already; rename one`},
		{"sets: [{name: set, entries: [10.0.0.1]}]\n" + setFilter, `unknown set "s"`},
		{"sets: [{name: s, entries: [10.0.0.1]}]\n" + strings.Replace(setFilter, "set: s", "set: s, value: 7", 1), `"value" and "set" exclude each other; remove one`},
		{"sets: [{name: s, entries: [10.0.0.1]}]\n" + strings.Replace(setFilter, "set: s", "match: in", 1), `match: in needs the key "set"`},
		{"sets: [{name: s, entries: [10.0.0.1]}]\n" + strings.Replace(setFilter, "set: s", "match: equal, set: s", 1), "a set is compared by in or not-in"},
		{"sets: [{name: s, entries: [10.0.0.1]}]\n" + strings.Replace(setFilter, "set: s}", "set: s}, {field: ip-remote-address, value: 10.0.0.2}", 1), "a value and a set of \"ip-remote-address\" next to each other"},
	} {
		dir := writeTree(t, map[string]string{"p.yaml": v1 + c.text, "bad.txt": "10.0.0.1\nhere\n7\n", "good.txt": "10.0.0.1\n", "link.txt": "-> " + secret})
		if _, err := Load(filepath.Join(dir, "p.yaml"), testOptions); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := Parse("p", []byte(v1+"sets: [{name: s, file: x}]\n"+setFilter), testOptions); err == nil || !strings.Contains(err.Error(), "this policy is read from memory") {
		t.Error(err)
	}
}

// Sets that are empty or that nobody names, and entries that add nothing, are doubtful; a filter with a set shadows nothing.
func TestLintSets(t *testing.T) {
	f, err := Parse("p", []byte(v1+"sets:\n  - {name: none, entries: []}\n  - {name: s, entries: [10.0.0.0/8, 10.1.0.0/16, 10.0.0.0/8, 10.255.0.0-11.0.0.0]}\n"+setFilter+
		"  \n"), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, l := range f.Lint() {
		got += fmt.Sprintf("%d: %s\n", l.Line, l.Msg)
	}
	const want = `3: set "none" is empty: nothing is in it
3: set "none" is named by no filter
4: set "s": 10.0.0.0/8 is given twice: it is 10.0.0.0/8 at line 4
4: set "s": 10.1.0.0/16 adds nothing: it is in 10.0.0.0/8 at line 4
4: set "s": 10.255.0.0-11.0.0.0 overlaps with 10.0.0.0/8 at line 4
`
	if got != want {
		t.Error(got)
	}
	f, err = Parse("p", []byte(v1+"sets: [{name: s, entries: [7]}]\nfilters:\n  - {name: a, layer: outbound-transport, action: block, when: tcp, conditions: [{field: ip-remote-port, set: s}]}\n"+
		"  - {name: b, layer: outbound-transport, action: block, when: tcp}\n"), testOptions)
	if err != nil || f.Lint() != nil {
		t.Errorf("%v, %v", err, f.Lint())
	}
}

// A policy may have a hundred thousand entries, and more. BenchmarkLargeSet says how long it takes to be loaded.
func TestLargeSet(t *testing.T) {
	f, err := Load(largeSet(t), testOptions)
	if err != nil || f.Sets[0].Len() != 100_000 || f.Lint() != nil {
		t.Fatal(err)
	}
}

func BenchmarkLargeSet(b *testing.B) {
	path := largeSet(b)
	for b.Loop() {
		if _, err := Load(path, testOptions); err != nil {
			b.Fatal(err)
		}
	}
}

// largeSet writes a policy with a set of 100,000 addresses.
func largeSet(t testing.TB) (path string) {
	t.Helper()
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "%d.%d.%d.%d\n", 1+i>>23, i>>15&255, i>>7&255, i<<1&255)
	}
	return filepath.Join(writeTree(t, map[string]string{"p.yaml": v1 + "sets: [{name: s, file: s.txt}]\n" + setFilter, "s.txt": b.String()}), "p.yaml")
}
