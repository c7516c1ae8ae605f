package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tshark runs it on a capture with a display filter and returns the lines that match.
func tshark(t *testing.T, path, filter string) string {
	t.Helper()
	cmd := exec.Command("tshark", "-n", "-r", path, "-Y", filter,
		"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // not the user's preferences
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, complaints.String())
	}
	return string(out)
}

// Wireshark is the witness that what is written is right: rewritten packets, resets of our own making, and what only passed.
func TestWiresharkFindsNoBadChecksum(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		required(t, "tshark is needed to look at what is written: %v; install Debian's package tshark", err)
	}
	const bad = "ip.checksum.status==0||tcp.checksum.status==0||udp.checksum.status==0||icmp.checksum.status==0||icmpv6.checksum.status==0"
	out := filepath.Join(t.TempDir(), "out.pcapng")
	for name, args := range map[string][]string{
		"quickstart": {quickstart},
		"mixed":      {"true", "-r", captures + "mixed.pcapng"},
		"cooked":     {"true", "-r", captures + "cooked.pcap"},
		"sim":        {quickstart, "--driver", "sim", "--packets", "2000"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := run(t, exitDone, append(args, "-w", out)...)
			if found := tshark(t, out, bad); found != "" {
				t.Errorf("bad checksums:\n%s", found)
			}
			// The simulator's payloads are noise, which is no right message of any protocol.
			if found := tshark(t, out, "_ws.malformed"); found != "" && name != "sim" {
				t.Errorf("malformed packets:\n%s", found)
			}
			if n := strings.Count(tshark(t, out, "ip || ipv6"), "\n"); uint64(n) != r.Passed+r.Injected {
				t.Errorf("tshark sees %d packets, want %d passed and %d injected", n, r.Passed, r.Injected)
			}
		})
	}
}
