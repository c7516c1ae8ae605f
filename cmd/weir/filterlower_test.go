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
