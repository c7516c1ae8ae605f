package policy

import (
	"strings"
	"testing"
)

// What conditions come to, joined with when, and which are doubtful.
func TestConditions(t *testing.T) {
	for conditions, want := range map[string]string{
		"conditions: [{field: ip-remote-port, value: 443}]":                                  "(tcp.DstPort == 443 or udp.DstPort == 443)",
		"when: tcp, conditions: [{field: ip-remote-port, value: 443}]":                       "(tcp) and (tcp.DstPort == 443 or udp.DstPort == 443)",
		"conditions: [{field: ip-protocol, value: udp}, {field: ip-protocol, value: 132}]":   "(protocol == 17 or protocol == 132)",
		"conditions: [{field: ip-remote-address, value: 10.1.2.3/255.255.0.0}]":              "((ip.DstAddr >= 10.1.0.0 and ip.DstAddr <= 10.1.255.255))",
		"conditions: [{field: ip-remote-address, value: fd00::/8, match: equal}]":            "((ipv6.DstAddr >= fd00:: and ipv6.DstAddr <= fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff))",
		"conditions: [{field: ip-local-address, match: range, value: [10.0.0.1, 10.0.0.9]}]": "((ip.SrcAddr >= 10.0.0.1 and ip.SrcAddr <= 10.0.0.9))",
		"conditions: [{field: tcp-flags, match: flags-all-set, value: [syn, ack]}]":          "((tcp.Syn and tcp.Ack))",
		"conditions: [{field: flags, match: flags-any-set, value: loopback}]":                "(loopback)",
		"conditions: [{field: tcp-flags, match: flags-any-set, value: 0x06}]":                "(tcp.Syn or tcp.Rst)",
		"conditions: []":            "",
		"when: tcp, conditions: []": "tcp",
	} {
		f, err := Parse("p", []byte("version: 1\nfilters: [{name: a, layer: outbound-transport, "+conditions+", action: block}]\n"), testOptions)
		if err != nil {
			t.Errorf("%s: %v", conditions, err)
			continue
		}
		got := ""
		if when := f.Filters[0].When; when != nil {
			got = when.String()
		}
		if got != want || f.Lint() != nil {
			t.Errorf("%s: %s, want %s; %v", conditions, got, want, f.Lint())
		}
	}
}

func TestWrongConditions(t *testing.T) {
	for condition, want := range map[string]string{
		"{field: ip-remote-prot, value: 1}":                          `unknown field "ip-remote-prot"; did you mean "ip-remote-port"?`,
		"{field: ip-remote-port, match: equals, value: 1}":           `unknown match "equals"; did you mean "equal"?`,
		"{field: ip-remote-port}":                                    `key "value" is missing`,
		"{value: 7}":                                                 `key "field" is missing`,
		"{field: ip-remote-port, value: 65536}":                      "value 65536 is out of range; want 0 to 65535",
		"{field: ip-remote-port, value: http}":                       "want a whole number from 0 to 65535",
		"{field: ip-remote-port, match: range, value: 7}":            "want the first and the last of the range, as in [1, 9]",
		"{field: ip-remote-port, match: range, value: [9, 7]}":       "condition ip-remote-port range: 9 to 7 is no range (FWP_E_INVALID_RANGE)",
		"{field: ip-remote-port, match: prefix, value: 7}":           "(FWP_E_MATCH_TYPE_MISMATCH)",
		"{field: ip-source-address, value: 10.0.0.1}":                "packets at outbound-transport do not have it (FWP_E_CONDITION_NOT_FOUND)",
		"{field: ip-remote-address, value: here}":                    `"here" is no address or prefix`,
		"{field: ip-remote-address, value: [1]}":                     "want an address or prefix, got a list",
		"{field: ip-remote-address, value: 10.0.0.0/255.0.255.0}":    "(FWP_E_INVALID_NET_MASK)",
		"{field: ip-protocol, value: tpc}":                           `unknown ip-protocol "tpc"; did you mean "tcp"?`,
		"{field: tcp-flags, match: flags-all-set, value: [syn, ak]}": `unknown flag "ak"; want ack, fin, psh, rst, syn or urg`,
		"{field: flags, match: flags-all-set, value: reauthorize}":   "(FWP_E_CONDITION_NOT_FOUND)",
		"{field: flags, value: loopback}":                            "(FWP_E_MATCH_TYPE_MISMATCH)",
		"{field: ip-remote-port, match: range, value: [[1], 2]}":     "want a whole number from 0 to 65535",
		"{field: ip-remote-port, value: 1, as: x}":                   `unknown key "as"`,
	} {
		_, err := Parse("p", []byte("version: 1\nfilters: [{name: a, layer: outbound-transport, action: block, conditions: ["+condition+"]}]\n"), testOptions)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "p:2:") {
			t.Errorf("%s: %v\nwant %s", condition, err, want)
		}
	}
	many := "version: 1\nfilters: [{name: a, layer: outbound-transport, action: block, conditions: [" + strings.Repeat("{field: ip-remote-port, value: 1},", 200) + "]}]\n"
	if _, err := Parse("p", []byte(many), testOptions); err == nil || !strings.Contains(err.Error(), "these conditions make no filter") {
		t.Errorf("too many: %v", err)
	}
	object := "version: 1\nfilters: [{name: a, layer: outbound-transport, action: block, when: \"@WinDiv_1\", conditions: [{field: ip-remote-port, value: 1}]}]\n"
	if _, err := Parse("p", []byte(object), testOptions); err == nil {
		t.Error("an object that is none is taken")
	}
}

// a != 1 or a != 2 always holds.
func TestNotEqualUnderOr(t *testing.T) {
	const src = `version: 1
filters:
  - name: a
    layer: outbound-transport
    conditions: [{field: ip-remote-port, match: not-equal, value: 1}, {field: ip-remote-port, match: not-equal, value: 2}]
    action: block
  - name: b
    layer: outbound-transport
    conditions: [{field: ip-remote-port, match: not-equal, value: 1}, {field: ip-protocol, value: tcp}, {field: ip-remote-port, match: not-equal, value: 2}]
    action: block
`
	f, err := Parse("p", []byte(src), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	l := f.Lint()
	if len(l) != 1 || l[0].Filter != "a" || l[0].Line != 3 || !strings.Contains(l[0].Msg, "of conditions on ip-remote-port next to each other one is enough") {
		t.Errorf("%+v", l)
	}
}
