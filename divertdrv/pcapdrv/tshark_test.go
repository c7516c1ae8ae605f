package pcapdrv_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// checkByTshark has tshark list what is in pcapng files, which may stand behind one another: a file has any number of sections.
func checkByTshark(t *testing.T, file []byte) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		skip(t, "tshark is not installed (apt-get install tshark): %v", err)
	}
	frames, err := readAll(file)
	if err != nil {
		t.Fatal(err)
	}
	var want, stdout, stderr bytes.Buffer
	for _, f := range frames {
		fmt.Fprintf(&want, "%d.%09d %d %d %d\n", f.Time/1e9, f.Time%1e9, len(f.Data), f.WireLen, f.Direction)
	}
	cmd := exec.Command(tshark, "-n", "-r", "-", "-T", "fields", "-E", "separator= ",
		"-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len", "-e", "frame.packet_flags_direction")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(file), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	got := strings.Split(strings.ReplaceAll(stdout.String(), "0x0000000", ""), "\n")
	for i, line := range strings.Split(want.String(), "\n") {
		if i >= len(got) || strings.TrimSuffix(line, " 0") != strings.TrimSuffix(strings.TrimSpace(got[i]), " 0") {
			t.Fatalf("record %d: want %q, tshark says %q", i, line, got[min(i, len(got)-1)])
		}
	}
}
