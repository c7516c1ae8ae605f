package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCompileOne(t *testing.T) {
	for text, want := range map[string]string{"tcp": "ok, 1 test\n", "tcp.DstPort == 80 and outbound": "ok, 2 tests\n"} {
		if o := weir(t, "", "filter", "compile", text); o.status != exitDone || o.out != want {
			t.Errorf("%s: status %d, %q%s", text, o.status, o.out, o.err)
		}
	}
	object := weir(t, "", "filter", "compile", "--object", "tcp.DstPort == 80 and outbound").out
	if o := weir(t, "", "filter", "compile", strings.TrimSpace(object)); o.out != "ok, 2 tests\n" {
		t.Errorf("the compiled form %q is no filter: %s", object, o.err)
	}
	o := weir(t, "", "filter", "compile", "tcp.DstPort == 80 plus outbound")
	if o.status != exitUsage || !strings.Contains(o.err, "\n  tcp.DstPort == 80 plus outbound\n                    ^\n") {
		t.Errorf("status %d, %s", o.status, o.err)
	}
}

func TestEvalOne(t *testing.T) {
	const packet = "4500001400000000400100007f0000017f000001"
	for _, c := range []struct{ want, args string }{
		{"1", "ip --packet " + packet},
		{"0", "ipv6 --packet " + packet},
		{"1", "inbound --packet " + packet},
		{"1", "outbound --outbound --packet " + packet},
		{"1", "ip --layer forward --packet " + packet},
		{"1", "outbound --packet " + packet + " --address " + strings.Repeat("0", 20) + "02" + strings.Repeat("0", 138)},
		{"1", "event==CONNECT --layer socket --address 0000000000000000" + "0304" + strings.Repeat("0", 140)},
	} {
		o := weir(t, "", append([]string{"filter", "eval"}, strings.Fields(c.args)...)...)
		if o.status != exitDone || o.out != c.want+"\n" {
			t.Errorf("%s: status %d, %q%s", c.args, o.status, o.out, o.err)
		}
	}
}

// One digit for each packet, and as many ones as a run receives.
func TestEvalCapture(t *testing.T) {
	o := weir(t, "", "filter", "eval", "outbound and tcp.Syn", "-r", captures+"mixed.pcapng", "--local", "10.77.0.1,fd77::1")
	r, _ := run(t, exitDone, "outbound and tcp.Syn", "-r", captures+"mixed.pcapng", "--local", "10.77.0.1,fd77::1")
	ones, zeros := strings.Count(o.out, "1\n"), strings.Count(o.out, "0\n")
	if o.status != exitDone || uint64(ones) != r.Received || ones == 0 || uint64(ones+zeros) != r.Capture.Packets {
		t.Errorf("status %d, %d ones, %d zeros; received %d of %d", o.status, ones, zeros, r.Received, r.Capture.Packets)
	}
}

// Every field that is listed can be asked for at its layer.
func TestFields(t *testing.T) {
	for _, layer := range []string{"network", "forward", "flow", "socket", "reflect"} {
		var list fieldList
		o := weir(t, "", "filter", "fields", "--json", "--layer", layer)
		if err := json.Unmarshal([]byte(o.out), &list); err != nil || list.Layer != layer || len(list.Fields) < 5 || len(list.Macros) < 5 {
			t.Fatalf("%v: %+v", err, list)
		}
		table := weir(t, "", "filter", "fields", "--layer", layer).out
		for _, f := range list.Fields {
			text := f.Name
			if f.Indexed {
				text += "[0]"
			}
			text += " == " + f.Max
			if o := weir(t, "", "filter", "compile", "--layer", layer, text); o.status != exitDone {
				t.Errorf("%s: %s: %s", layer, text, o.err)
			}
			if !strings.Contains(table, f.Name) || !strings.Contains(table, f.Doc) {
				t.Errorf("%s: %s is not in the table", layer, f.Name)
			}
		}
		for _, m := range list.Macros {
			if o := weir(t, "", "filter", "compile", "--layer", layer, "timestamp == "+m.Name); o.status != exitDone {
				t.Errorf("%s: %s: %s", layer, m.Name, o.err)
			}
		}
	}
}

// The filters that the help shows are right.
func TestHelpShowsFilters(t *testing.T) {
	n := 0
	for _, line := range strings.Split(newFilter().Long, "\n") {
		text, shown := strings.CutPrefix(line, "  ")
		if !shown {
			continue
		}
		text, _, _ = strings.Cut(text, "     ")
		if o := weir(t, "", "filter", "compile", text); o.status != exitDone {
			t.Error(o.err)
		}
		n++
	}
	if n < 3 {
		t.Errorf("%d filters in the help", n)
	}
}
