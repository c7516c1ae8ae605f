package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCompileLower(t *testing.T) {
	o := weir(t, "", "filter", "compile", "--lower", "linux", "outbound and ifIdx == 3 and tcp.DstPort == 443")
	golden(t, "lower.txt", o.out)
	if o.status != exitDone {
		t.Errorf("status %d, %s", o.status, o.err)
	}
	var r compileResult
	o = weir(t, "", "filter", "compile", "--lower", "linux", "--layer", "forward", "--json", "tcp and random8 < 10")
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || len(r.Linux) != 1 {
		t.Fatalf("%v: %s%s", err, o.out, o.err)
	}
	if l := r.Linux[0]; l.Hook != "forward" || l.Exact || len(l.Left) != 1 || l.Left[0].Test != 2 || l.Instructions == 0 {
		t.Errorf("%+v", l)
	}
	for args, want := range map[string]string{
		"--lower windows tcp":            "want linux",
		"--lower linux --layer flow tcp": "asks for events",
		"--lower linux --object tcp":     "none of the others can be",
	} {
		o := weir(t, "", append([]string{"filter", "compile"}, strings.Fields(args)...)...)
		if o.status != exitUsage || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%s: status %d, %q %q", args, o.status, o.out, o.err)
		}
	}
}

// Where each test is asked: beside a packet's explanation, of a capture, or alone.
func TestExplainLower(t *testing.T) {
	const text = "outbound and ifIdx == 3 and (tcp.DstPort == 443 or random8 < 10)"
	o := weir(t, "", "filter", "explain", "--lower", "linux", text)
	golden(t, "where.txt", o.out)
	if o.status != exitDone || o.err != "" {
		t.Errorf("status %d, %s", o.status, o.err)
	}
	var e explained
	packet := "450000280000000040060000" + "0a0000010a000002" + "0050" + "01bb" + strings.Repeat("0", 32)
	o = weir(t, "", "filter", "explain", "--lower", "linux", "--json", "--outbound", "--packet", packet, text)
	if err := json.Unmarshal([]byte(o.out), &e); err != nil || o.status != exitDone {
		t.Fatalf("status %d: %v: %s%s", o.status, err, o.out, o.err)
	}
	if len(e.Linux) != 4 || len(e.Linux[1].User) != 1 || e.Linux[1].User[0].Hook != "output" || len(e.Linux[3].Kernel) != 0 || len(e.Tests) == 0 {
		t.Errorf("%+v", e)
	}
	for args, want := range map[string]string{
		"--lower windows tcp":            "want linux",
		"--lower linux --layer flow tcp": "asks for events",
		"tcp":                            "nothing to evaluate",
	} {
		o := weir(t, "", append([]string{"filter", "explain"}, strings.Fields(args)...)...)
		if o.status != exitUsage || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%s: status %d, %q %q", args, o.status, o.out, o.err)
		}
	}
}
