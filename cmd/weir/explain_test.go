package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestExplainInWords(t *testing.T) {
	o := weir(t, "", "explain", quickstart, "tcp 10.0.0.1:5000 > 1.2.3.4:23 syn", "in udp [2001:db8::1]:53 > [2001:db8::2]:5000 len 9 ttl 3", "ping 10.0.0.1 > 10.0.0.2")
	if o.status != exitDone || o.err != "" {
		t.Fatalf("status %d, %s", o.status, o.err)
	}
	golden(t, "explainpolicy.txt", o.out)
}

// The verdicts of all packets of a capture are those that weir run counts.
func TestExplainACapture(t *testing.T) {
	o := weir(t, "", "explain", quickstart, "-r", captures+"mixed.pcapng", "--local", "10.77.0.1,fd77::1", "--json")
	if o.status != exitDone || o.err != "" {
		t.Fatalf("status %d, %s", o.status, o.err)
	}
	verdicts := map[string]int{}
	for line := range strings.Lines(o.out) {
		var e struct {
			Number         int
			Verdict, Cause string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		verdicts[e.Verdict+" "+e.Cause]++
	}
	if want := 162; verdicts["pass "] != want || verdicts["drop filter"] != 16 || verdicts["drop rejected"] != 23 {
		t.Errorf("verdicts %v, want 162 passed, 16 dropped by filter, 23 rejected, as the quickstart's golden file has it", verdicts)
	}
	one := weir(t, "", "explain", quickstart, "-r", captures+"mixed.pcapng", "--local", "10.77.0.1,fd77::1", "--packet", "5")
	if one.status != exitDone || !strings.HasPrefix(one.out, "packet 5: ") || strings.Contains(one.out, "packet 6") {
		t.Errorf("status %d\n%s%s", one.status, one.out, one.err)
	}
}

func TestExplainRefuses(t *testing.T) {
	for args, want := range map[string]string{
		quickstart: "nothing to explain",
		quickstart + "|tcp 1.2.3.4:5 > 6.7.8.9:10|-r|x":               "does not go with -r",
		quickstart + "|--packet|3":                                    "with -r",
		quickstart + "|quic 1.2.3.4:5 > 6.7.8.9:10":                   `unknown protocol "quic"`,
		quickstart + "|tcp 1.2.3.4 > 6.7.8.9:10":                      `source "1.2.3.4"`,
		quickstart + "|tcp 1.2.3.4:5 > host:10":                       `destination "host:10"`,
		quickstart + "|tcp 1.2.3.4:5 > 6.7.8.9:10 sin":                `unknown word "sin"`,
		quickstart + "|udp 1.2.3.4:5 > 6.7.8.9:10 syn":                "syn is a flag of tcp",
		quickstart + "|udp 1.2.3.4:5 > 6.7.8.9:10 ttl 256":            `ttl "256"`,
		quickstart + "|udp 1.2.3.4:5 > [::1]:10":                      "same IP version",
		quickstart + "|":                                              "want PROTOCOL SRC > DST",
		"nowhere.yaml|tcp 1.2.3.4:5 > 6.7.8.9:10":                     "nowhere.yaml",
		quickstart + "|-r|" + captures + "mixed.pcapng|--packet|9999": "the capture has 201 IP packets",
	} {
		o := weir(t, "", append([]string{"explain"}, strings.Split(args, "|")...)...)
		if o.status != exitUsage || !strings.Contains(o.err, want) {
			t.Errorf("%s: status %d, %q, want %q", args, o.status, o.err, want)
		}
	}
}
