package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What is wrong in a policy is told at its place and with a remedy. Each text is wrong in the ways that follow it.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		// The form of the file.
		{"", `p:1:1: key "version" is missing; add version: …`},
		{"- a", `p:1:1: want a mapping (key: value), got a list`},
		{"version: 1\n\tdriver: x", `p:2:1: tab; indent and separate with spaces`},
		{"version: 1 # \t fine\ndriver: \xff", `p:2:9: byte 0xff is not UTF-8; save the file as UTF-8`},
		{"version: 1\nx: \x07", `p:2:4: control character U+0007; remove it`},
		{"version: 1" + strings.Repeat("\n", 200), `p:102:1: more than 100 empty lines in a row; remove some`},
		{"version: 1\nx: " + strings.Repeat("<", 40), `p:2:36: more than 32 "<" in a row; remove some`},
		{"version: 1\nx: \"a", `p:2:4: could not find end character of double-quoted text; end the quotation`},
		{"version: 1\nx: @a", `p:2:4: '@' is a reserved character; quote the text`},
		{"version: 1\nx: !a\n", `p:2:4: tags are not part of the policy format; quote a text that begins with "!"`},
		{"version: 1\nx: &a 1", `p:2:4: anchors are not part of the policy format; write the value out, or quote a text that begins with "&"`},
		{"version: 1\nx: *a", `p:2:4: aliases are not part of the policy format; write the value out, or quote a text that begins with "*"`},
		{"version: 1\n<<: {a: 1}", `p:2:1: merge keys are not part of the policy format; write the keys out`},
		{"? version\n: 1", `p:1:1: "? key" is not part of the policy format; write "key: value"`},
		{"version: 1\nx: a: b", `p:2:4: a second ":" on the line; quote the text if it belongs to it`},
		{"version: 1\nx: [a", `p:2:4: "[" without its "]"`},
		{"version: 1\nx: {a: b", `p:2:4: "{" without its "}"`},
		{"version: 1\nx: {a: [b}", `p:2:10: "}" cannot stand here; want "," or "]"`},
		{"version: 1\nx: [a: b]", `p:2:6: a ":" in a list; write {key: value}, or quote the text if it belongs to it`},
		{"version: 1\nx: {a}", `p:2:5: no value for "a"; write "key: value"`},
		{"version: 1\nx: {[a]: b}", `p:2:5: "[" cannot stand here; want a key`},
		{"version: 1\nx: [,]", `p:2:5: "," cannot stand here; look for a missing value or a "," too many`},
		{"version: 1\nx: ]", `p:2:4: "]" cannot stand here; quote a text that begins with it`},
		{"version: 1\nx: - a", `p:2:4: "-" cannot stand here; quote a text that begins with it`},
		{"version: 1\n  x: 1", `p:2:4: ":" cannot stand here: a key ends with ": ", and what belongs together is indented alike`},
		{"version: 1\nx:\n  - a\n   - b\n  b: 1", `p:5:3: "b" cannot stand here: a key ends with ": ", and what belongs together is indented alike`},
		{"version: 1\ntext", `p:2:1: "text" cannot stand here: a key ends with ": ", and what belongs together is indented alike`},
		{"  version: 1\nx: 2", `p:2:1: this is indented less than the first line; indent both alike`},
		{"version: 1\n---\nversion: 1", `p:2:1: a second document; a policy is one: remove the "---" or what follows it`},
		{strings.Repeat("[", 40), `p:1:33: nested deeper than 32 levels; a policy needs six`},

		// Keys and values.
		{"version: 2", `p:1:10: version 2 is unknown here; want 1`},
		{"version: one", `p:1:10: want a whole number from 0 to 18446744073709551615 (decimal, or 0x…), got "one"`},
		{"version: '1'", `p:1:10: want a number, got the text "1"; remove the quotes`},
		{"filtesr: []\nversion: 1", `p:1:1: unknown key "filtesr"; did you mean "filters"?`},
		{"version: 1\nzones: []", `p:2:1: unknown key "zones"; want version, include, driver, sets, handles, sublayers, filters, callouts or rules`},
		{"version: 1\nversion: 1", `p:2:1: key "version" was given at line 1 already; remove one`},
		{"version: 1\nfilters: {}", `p:2:10: want a list ([a, b], or lines that begin with "- "), got a mapping`},
		{"version: 1\nsublayers: [x]", `p:2:13: want a mapping (key: value), got a value`},
		{"version: 1\nsublayers:\n  - name: 7\n    weight: 65536", "p:3:11: want text, got 7; quote it: \"7\"\np:4:13: weight 65536 is out of range; want 0 to 65535"},
		{"version: 1\nsublayers: [{name: a, weight: 010}]", `p:2:31: want a whole number from 0 to 65535 (decimal, or 0x…), got "010"`},
		{"version: 1\nsublayers: [{name: a, weight: [1]}]", `p:2:31: want a whole number from 0 to 65535 (decimal, or 0x…), got a list`},
		{"version: 1\nsublayers: [{weight: 1}]", `p:2:13: key "name" is missing; add name: …`},
		{"version: 1\nsublayers: [{name: ''}, {name: " + strings.Repeat("x", 101) + "}]", "p:2:20: a name is empty; give it one\np:2:32: a name of more than 100 characters; shorten it"},
		{"version: 1\nsublayers: [{name: a}, {name: a}]", `p:2:31: sublayer "a" is defined at line 2 already; rename one`},
		{"version: 1\nsublayers: [{name: \"a\\tb\"}]", `p:2:20: a name with U+0009, which cannot be printed; remove it`},
		{"version: 1\nsublayers: [{name: a, weight: " + strings.Repeat("9", 60) + "}]", `p:2:31: weight ` + strings.Repeat("9", 40) + `… is out of range; want 0 to 65535`},

		// The driver.
		{"version: 1\ndriver: {}", `p:2:9: key "backend" is missing; add backend: …`},
		{"version: 1\ndriver: {backend: pcapp}", `p:2:19: unknown backend "pcapp"; did you mean "pcap"?`},
		{"version: 1\ndriver: {backend: sim, read: x}", `p:2:30: "read" is an option of backend pcap; remove it, or change the backend`},
		{"version: 1\ndriver: {backend: pcap, local: [10.0.0.1/8, x, 'fe80::1%eth0']}", "p:2:33: \"10.0.0.1/8\" has bits behind its prefix; write 10.0.0.0/8, or the address without its length\n" +
			"p:2:45: \"x\" is no address or prefix; write 10.0.0.1, 10.0.0.0/8 or fd00::/8\n" +
			"p:2:48: \"fe80::1%eth0\" is no address or prefix; write 10.0.0.1, 10.0.0.0/8 or fd00::/8"},
		{"version: 1\ndriver: {backend: sim, packets: -1}", `p:2:33: packets -1 is out of range; want 0 to 1000000000`},
		{"version: 1\ndriver: {backend: nfqueue, spin: 11ms}", `p:2:34: spin 11ms is too long; want 0s to 10ms: it is time that a processor spends on waiting`},
		{"version: 1\ndriver: {backend: nfqueue, spin: -1us}", `p:2:34: "-1us" is no time; write a number with a unit, such as 50us, 2ms or 30s`},
		{"version: 1\ndriver: {backend: sim, fail-closed: true}", `p:2:37: "fail-closed" is an option of backend nfqueue; remove it, or change the backend`},

		// Handles.
		{"version: 1\nhandles: [{layer: netwokr}]", `p:2:19: unknown layer "netwokr"; did you mean "network"?`},
		{"version: 1\nhandles: [{layer: flow}]", `p:2:19: unknown layer "flow"; want network or forward`},
		{"version: 1\nhandles: [{layer: network, priority: 30001}]", `p:2:38: priority 30001 is out of range; want -30000 to 30000`},
		{"version: 1\nhandles: [{layer: network, flags: [snif]}]", `p:2:36: unknown flags "snif"; did you mean "sniff"?`},
		{"version: 1\nhandles: [{layer: network, flags: [sniff, drop]}]", `p:2:35: sniff and drop exclude each other; remove one`},
		{"version: 1\nhandles: [{layer: network, flags: [recv-only]}]", `p:2:35: a recv-only handle cannot put packets back; add sniff, or remove recv-only`},

		// Filters.
		{"version: 1\nfilters: [{name: a, layer: outbound-tarnsport, action: permit}]", `p:2:28: unknown layer "outbound-tarnsport"; did you mean "outbound-transport"?`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, sublayer: basic, action: permit}]", `p:2:49: unknown sublayer "basic"; want default`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: blok}]", `p:2:47: unknown action "blok"; did you mean "block"?`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: block, callout: x, type: unknown}]", "p:2:63: \"callout\" belongs to action: callout; remove it, or change the action\n" +
			"p:2:72: \"type\" belongs to action: callout; remove it, or change the action"},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: block, hard: false}]", `p:2:60: the block of a filter is always hard; remove hard, or let a callout block softly`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: callout}]", `p:2:47: action: callout needs the key "callout", the name of one under callouts`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: callout, callout: x}]", `p:2:65: unknown callout "x"; none is defined`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: permit, hard: yes}]", `p:2:61: want true or false, got "yes"`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: permit, when: [tcp]}]", `p:2:61: want a value, got a list`},
		{"version: 1\nfilters: [{name: a, layer: ipforward, action: permit, when: }]", `p:2:60: want a value, got nothing`},

		// Callouts.
		{"version: 1\ncallouts: [{name: a, type: faek}]", `p:2:28: unknown callout type "faek"; did you mean "fake"?`},
		{"version: 1\ncallouts: [{name: a, type: fake}]", `p:2:12: key "word" is missing; add word: …`},
		{"version: 1\ncallouts: [{name: a, type: fake, config: {wrod: red, word: blue, count: 0, small: 128, ports: [0, x]}}]", "p:2:43: unknown key \"wrod\"; did you mean \"word\"?\n" +
			"p:2:60: unknown word \"blue\"; want red or green\n" +
			"p:2:73: count 0 is out of range; want 1 to 9\n" +
			"p:2:83: small 128 is out of range; want -128 to 127\n" +
			"p:2:96: ports 0 is out of range; want 1 to 65535\n" +
			"p:2:99: want a whole number from 1 to 65535 (decimal, or 0x…), got \"x\""},
		{"version: 1\ncallouts: [{name: a, type: fake, config: {word: green, addr: 10.0.0, inner: 5}}]", "p:2:62: \"10.0.0\" is no address; write 10.0.0.1 or fd00::1\np:2:77: want a mapping (key: value), got a value"},
		{"version: 1\ncallouts: [{name: a, type: fake, config: {word: red, on: true}}]", `p:2:42: callout "a": red cannot be on; use green`},
		{"version: 1\ncallouts: [{name: a, type: odd}]", `p:2:12: callout "a": config is decoded into a pointer to a struct; this is an error of the program, got "int"`},
		{"version: 1\ncallouts: [{name: a, type: unreadable, config: {c: 1}}]", `p:2:52: no value of a policy can be a chan int; this is an error of the program`},
	} {
		_, err := Parse("p", []byte(c.src), testOptions)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.src, got, c.want)
		}
		var all *Errors
		if err != nil && !errors.As(err, &all) {
			t.Errorf("error of type %T", err)
		}
	}
}

// A filter text that does not compile is told at the character inside the file, in whatever style of YAML it is written.
func TestPlaceInFilterText(t *testing.T) {
	const head = "version: 1\nfilters:\n"
	for _, c := range []struct{ src, want string }{
		{head + "  - {name: a, layer: ipforward, action: block, when: tcp and bad}", "3:62"},
		{head + "  - {name: é, layer: ipforward, action: block, when: \"tcp and bad\"}", "3:63"},
		{head + "  - {name: a, layer: ipforward, action: block, when: 'tcp and bad'}", "3:63"},
		{head + "  - {name: a, layer: ipforward, action: block, when: 'tcp and'}", "3:62"},
		{head + "  - {name: a, layer: ipforward, action: block, when: \"tcp \\x61nd bad\"}", "3:54"},
		{head + "  - name: a\n    layer: ipforward\n    action: block\n    when: tcp and\n      udp and\n      bad # comment\n", "8:7"},
		{head + "  - name: a\n    when: |\n      tcp and\n\n        (udp and bad)\n    layer: ipforward\n    action: block\n", "7:18"},
		{head + "  - name: a\n    when: >- # folded\n      tcp and\n      (udp\n      and bad)\n    layer: ipforward\n    action: block\n", "7:11"},
		{head + "  - name: a\n    when: \"tcp and\n      bad\"\n    layer: ipforward\n    action: block\n", "5:7"},
		{head + "  - name: a\r\n    when: |\r\n      tcp and\r\n      bad\r\n    layer: ipforward\r\n    action: block\r\n", "6:7"},
	} {
		_, err := Parse("p", []byte(c.src), Options{})
		first, _, _ := strings.Cut(fmt.Sprint(err), ": filter: ")
		if first != "p:"+c.want {
			t.Errorf("%s\nat %s, want %s\n%v", c.src, first, c.want, err)
		}
		if !strings.Contains(fmt.Sprint(err), "^") {
			t.Errorf("no caret in\n%v", err)
		}
	}
}

func TestAllErrorsAtOnceAndBounded(t *testing.T) {
	src := "version: 1\nfilters:\n" + strings.Repeat("  - {nme: a}\n", 500)
	_, err := Parse("p", []byte(src), Options{})
	var all *Errors
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	if len(all.List) != errorsShown || all.More != 500*4-errorsShown {
		t.Errorf("%d errors and %d more", len(all.List), all.More)
	}
	for i := range all.List {
		if i > 0 && all.List[i].Line < all.List[i-1].Line {
			t.Fatalf("line %d behind line %d", all.List[i].Line, all.List[i-1].Line)
		}
	}
	if want := fmt.Sprintf("\nand %d more", all.More); !strings.HasSuffix(err.Error(), want) {
		t.Errorf("want %q at the end", want)
	}
	b, err := json.Marshal(all)
	if want := `{"errors":[{"file":"p","line":3,"column":5,"msg":"key \"name\" is missing; add name: …"}`; err != nil || !strings.HasPrefix(string(b), want) {
		t.Errorf("as JSON %.200s", b)
	}
}

// Lists have a limit each.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		list, item string
		most       int
	}{
		{"sublayers", "{name: x%d}", SublayersMax},
		{"callouts", "{name: x%d, type: fake, config: {word: red}}", CalloutsMax},
		{"handles", "{layer: network, priority: %d}", HandlesMax},
	} {
		var b strings.Builder
		fmt.Fprintf(&b, "version: 1\n%s:\n", c.list)
		for i := range c.most + 1 {
			fmt.Fprintf(&b, "- "+c.item+"\n", i)
			if i != c.most-1 {
				continue
			}
			if _, err := Parse("p", []byte(b.String()), testOptions); err != nil {
				t.Errorf("%d %s: %v", i+1, c.list, err)
			}
		}
		_, err := Parse("p", []byte(b.String()), testOptions)
		if want := fmt.Sprintf("p:%d:3: more than %d %s; let fewer do the work", c.most+3, c.most, c.list); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
