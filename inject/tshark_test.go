package inject_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/weirnet/weir/inject"
)

// A sample of what goes in is judged by tshark as well.
func TestTsharkAgrees(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed: apt-get install tshark")
		}
		t.Skip("tshark is not installed")
	}
	v, all := rigs(t)
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(0xffff, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 300 {
		p := plans.Example(i)
		r := all[p.path]
		r.wire, r.host = nil, nil
		if err := r.j.Inject(nil, inject.Injection{Packet: p.packet(t), Path: p.path}); err != nil {
			t.Fatal(err)
		}
		v.Advance(2 * time.Second)
		b := r.out(p.path)[0].data
		if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
		ip, transport := p.wants()
		fmt.Fprintf(&want, "%d %v %v\n", i+1, ip, transport)
	}
	for _, r := range all {
		r.close(t)
	}
	name := filepath.Join(t.TempDir(), "injected.pcap")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tsharkSays(t, tshark, name); got != want.String() {
		t.Errorf("tshark says\n%s\nwant\n%s", got, want.String())
	}
}

// tsharkSays lists, for each packet of a file, whether the checksums of IP and of the transport are right.
func tsharkSays(t *testing.T, tshark, name string) string {
	t.Helper()
	args := []string{"-r", name, "-T", "fields", "-E", "occurrence=f", "-E", "separator=,", "-e", "frame.number"}
	for _, proto := range []string{"ip", "tcp", "udp"} {
		args = append(args, "-e", proto+".checksum.status", "-o", proto+".check_checksum:TRUE")
	}
	args = append(args, "-e", "icmp.checksum.status", "-e", "icmpv6.checksum.status")
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	const bad = "0" // 1: good
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		fmt.Fprintf(&b, "%s %v %v\n", f[0], f[1] != bad, f[2]+f[3]+f[4]+f[5] != bad)
	}
	return b.String()
}
