package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter"
)

func TestCompileJSON(t *testing.T) {
	var r compileResult
	o := weir(t, "", "filter", "compile", "--json", "tcp and udp")
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.status != exitDone || !r.OK || r.Tests != 2 || r.Object != "@WinDiv_WY_eXWWLXX_fXWWAX" || r.Error != nil {
		t.Errorf("status %d, %+v, %v", o.status, r, err)
	}
	r = compileResult{}
	o = weir(t, "", "filter", "compile", "--json", "tcp and utp")
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.status != exitUsage || r.OK || r.Error == nil || r.Error.Code != "bad-token" || r.Error.Pos != 8 || o.err != "" {
		t.Errorf("status %d, %+v, %v, %s", o.status, r, err, o.err)
	}
	if o := weir(t, "", "filter", "compile", "--json", "--layer", "link", "tcp"); o.status != exitUsage || o.out != "" {
		t.Errorf("status %d, %q", o.status, o.out)
	}
}

func TestFormatCommand(t *testing.T) {
	const src = "(((tcp)) && (ip.SrcAddr == 0xffff0a000001))"
	const want = "tcp and ip.SrcAddr = 10.0.0.1"
	if o := weir(t, "", "filter", "format", src); o.status != exitDone || o.out != want+"\n" {
		t.Errorf("status %d, %q%s", o.status, o.out, o.err)
	}
	var r formatResult
	o := weir(t, "", "filter", "format", "--json", src)
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || r.Text != want || r.Layer != "network" || r.Tests != 2 {
		t.Errorf("%v, %+v", err, r)
	}
	if o := weir(t, "", "filter", "format", r.Object); o.out != want+"\n" {
		t.Errorf("the compiled form gives %q%s", o.out, o.err)
	}
	for _, bad := range []string{"tcp &", "@WinDiv_WX_WWWWAX", "@WinDiv_"} {
		if o := weir(t, "", "filter", "format", bad); o.status != exitUsage || o.out != "" {
			t.Errorf("%s: status %d, %q", bad, o.status, o.out)
		}
	}
	o = weir(t, "0\ttcp  or(udp)\nflow\ttcp.Syn\n0\t@WinDiv_WX_WWWWAX\nx\n", "filter", "format", "--batch")
	compareLines(t, o.out, []string{"tcp or udp", "error bad-token-for-layer 0", "error bad-object 0", answerBad})
	if o.status != exitFailed {
		t.Errorf("status %d", o.status)
	}
}

func TestFormatBatchVectors(t *testing.T) {
	input, want := split(vectorLines(t, "compile.tsv.gz"))
	texts := strings.Split(strings.TrimSuffix(weir(t, input, "filter", "format", "--batch", "--compat22").out, "\n"), "\n")
	lines := strings.Split(strings.TrimSuffix(input, "\n"), "\n")
	if len(texts) != len(lines) {
		t.Fatalf("%d texts to %d lines", len(texts), len(lines))
	}
	var again strings.Builder
	var objects []string
	for i, text := range texts {
		if strings.HasPrefix(text, "error ") {
			if text != want[i] {
				t.Errorf("line %d: %s, want %s", i+1, text, want[i])
			}
			continue
		}
		layer, _, _ := strings.Cut(lines[i], "\t")
		again.WriteString(layer + "\t" + text + "\n")
		objects = append(objects, want[i])
	}
	compareLines(t, weir(t, again.String(), "filter", "compile", "--batch", "--compat22", "--object").out, objects)
}

func TestLintCommand(t *testing.T) {
	o := weir(t, "", "filter", "lint", "tcp\tand udp")
	golden(t, "lint.txt", o.out)
	if o.status != exitDone || o.err != "" {
		t.Errorf("status %d, %s", o.status, o.err)
	}
	if o := weir(t, "", "filter", "lint", "tcp.DstPort == 443 and outbound"); o.out != "ok\n" {
		t.Errorf("%q", o.out)
	}
	if o := weir(t, "", "filter", "lint", "tcp and"); o.status != exitUsage || o.out != "" {
		t.Errorf("status %d, %q", o.status, o.out)
	}
	var r lintResult
	o = weir(t, "", "filter", "lint", "--json", "--layer", "flow", "inbound or outbound")
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || r.Layer != "flow" || len(r.Lints) != 2 || r.Lints[0].Kind != filter.LintAlwaysTrue {
		t.Errorf("%v, %+v", err, r)
	}
	if o := weir(t, "", "filter", "lint", "--json", "tcp"); !strings.Contains(o.out, `"lints": []`) {
		t.Errorf("%q", o.out)
	}
	o = weir(t, "0\ttcp and udp\n0\ttcp\n0\t@WinDiv_WY_eXWWLXX_fXWWAX\n0\tand\n", "filter", "lint", "--batch")
	compareLines(t, o.out, []string{"always-false 0, impossible 8", "ok", "always-false -1, impossible -1", "error parse 0"})
}

func TestExplainOne(t *testing.T) {
	const packet = "4500001400000000400100007f0000017f000001"
	args := []string{"filter", "explain", "ip.TTL > 60 and (tcp.Syn or outbound)", "--packet", packet}
	o := weir(t, "", args...)
	golden(t, "explain.txt", o.out)
	if o.status != exitDone || o.err != "" {
		t.Errorf("status %d, %s", o.status, o.err)
	}
	var e filter.Explanation
	o = weir(t, "", append(args, "--json", "--outbound")...)
	if err := json.Unmarshal([]byte(o.out), &e); err != nil || !e.Match || len(e.Tests) != 3 || e.Tests[2].Next != "accept" {
		t.Errorf("%v, %+v", err, e)
	}
	for want, bad := range map[string]string{
		"nothing to evaluate":          "tcp",
		"--nth goes with -r":           "tcp --nth 3 --packet " + packet,
		"did you mean tcp.SrcPort or":  "tcp.Port --packet " + packet,
		"--nth 9000: the capture has ": "tcp --nth 9000 -r " + captures + "mixed.pcapng",
		"want a number from 1":         "tcp --nth -1 -r " + captures + "mixed.pcapng",
		"is for layer flow":            "tcp --layer flow -r " + captures + "mixed.pcapng",
	} {
		if o := weir(t, "", append([]string{"filter", "explain"}, strings.Fields(bad)...)...); o.status != exitUsage || !strings.Contains(o.err, want) || o.out != "" {
			t.Errorf("%s: status %d, %q, %q", bad, o.status, o.out, o.err)
		}
	}
}

// What explain says of each packet of a capture is what eval says.
func TestExplainCapture(t *testing.T) {
	const text = "outbound and (tcp.Syn or udp.DstPort == 53) or icmp.Type == 8"
	on := []string{"-r", captures + "mixed.pcapng", "--local", "10.77.0.1,fd77::1"}
	digits := strings.Fields(weir(t, "", append([]string{"filter", "eval", text}, on...)...).out)
	o := weir(t, "", append([]string{"filter", "explain", "--json", text}, on...)...)
	lines := strings.Split(strings.TrimSuffix(o.out, "\n"), "\n")
	if len(lines) != len(digits) || len(lines) < 10 || o.status != exitDone || o.err != "" {
		t.Fatalf("%d lines, %d digits, status %d, %s", len(lines), len(digits), o.status, o.err)
	}
	for i, line := range lines {
		var e explained
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Packet != i+1 || digit(e.Match) != digits[i] || len(e.Tests) != 4 {
			t.Fatalf("line %d: %v, %s", i+1, err, line)
		}
	}
	all := weir(t, "", append([]string{"filter", "explain", text}, on...)...).out
	third := weir(t, "", append([]string{"filter", "explain", text, "--nth", "3"}, on...)...).out
	if !strings.HasPrefix(third, "packet 3, network: ") || !strings.Contains(all, third) || strings.Count(all, "packet ") != len(lines) {
		t.Errorf("packet 3 is\n%s", third)
	}
}

// The answers of explain on the vectors are those of WinDivert.
func TestExplainBatchVectors(t *testing.T) {
	input, want := split(vectorLines(t, "eval.tsv.gz")[:3000])
	got := strings.Split(strings.TrimSuffix(weir(t, input, "filter", "explain", "--batch", "--compat22").out, "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d lines", len(got), len(want))
	}
	for i, line := range got {
		if strings.HasPrefix(want[i], "error") {
			if line != want[i] {
				t.Errorf("line %d: %s, want %s", i+1, line, want[i])
			}
			continue
		}
		var e filter.Explanation
		if err := json.Unmarshal([]byte(line), &e); err != nil || digit(e.Match) != want[i] {
			t.Errorf("line %d: %v: %s, want %s", i+1, err, line, want[i])
		}
	}
	o := weir(t, "0\tip\t00\t\n", "filter", "explain", "--batch")
	if o.out != answerBad+"\n" || o.status != exitFailed {
		t.Errorf("%s", fmt.Sprint(o))
	}
}
