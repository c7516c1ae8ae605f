package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// translations returns the rows of a table of docs/filter.md, "theirs" and Weir's filter.
func translations(t *testing.T, table string) (rows [][2]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/filter.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `(.+)` \\| `(.+)` \\|$")
	_, rest, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "<!-- "+table+" -->\n")
	for line := range strings.Lines(rest) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "|") {
			break
		}
		if m := row.FindStringSubmatch(line); m != nil {
			rows = append(rows, [2]string{strings.ReplaceAll(m[1], `\|`, "|"), strings.ReplaceAll(m[2], `\|`, "|")})
		}
	}
	if len(rows) < 10 {
		t.Fatalf("table %s has %d rows", table, len(rows))
	}
	return rows
}

// ours counts the packets of a capture that Weir's filter takes.
func ours(t *testing.T, path, filter string) int {
	t.Helper()
	o := weir(t, "", "filter", "eval", filter, "-r", path)
	if o.status != exitDone {
		t.Fatal(o.err)
	}
	return strings.Count(o.out, "1\n")
}

// What the manual gives for filters of tcpdump takes as many packets as they do.
func TestManualTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		required(t, "tcpdump is needed as witness: %v; install Debian's package tcpdump", err)
	}
	some := map[string]bool{}
	rows := translations(t, "tcpdump")
	for _, name := range []string{"mixed.pcapng", "ping.pcap", "refused.pcap", "http.pcap", "dns.pcap", "iperf3.pcap"} {
		for _, row := range rows {
			out, err := exec.Command("tcpdump", "-n", "--count", "-r", captures+name, row[0]).Output()
			if err != nil {
				t.Fatalf("tcpdump %s: %v", row[0], err)
			}
			var want int
			if _, err := fmt.Sscanf(string(out), "%d packet", &want); err != nil {
				t.Fatalf("tcpdump says %q", out)
			}
			some[row[0]] = some[row[0]] || want > 0
			if got := ours(t, captures+name, row[1]); got != want {
				t.Errorf("%s: %s takes %d packets, %s %d", name, row[1], got, row[0], want)
			}
		}
	}
	for text, any := range some {
		if !any {
			t.Errorf("no packet of any capture is %s", text)
		}
	}
}

// Likewise for display filters.
func TestManualWireshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		required(t, "tshark is needed as witness: %v; install Debian's package tshark", err)
	}
	some := map[string]bool{}
	rows := translations(t, "wireshark")
	for _, name := range []string{"mixed.pcapng"} {
		for _, row := range rows {
			want := strings.Count(tshark(t, captures+name, row[0]), "\n")
			some[row[0]] = some[row[0]] || want > 0
			if got := ours(t, captures+name, row[1]); got != want {
				t.Errorf("%s: %s takes %d packets, %s %d", name, row[1], got, row[0], want)
			}
		}
	}
	for text, any := range some {
		if !any {
			t.Errorf("no packet of any capture is %s", text)
		}
	}
}
