package craft_test

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// everything returns one packet of each kind that is built here.
func everything(t *testing.T) (all [][]byte) {
	t.Helper()
	keep := func(b []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	for _, f := range families {
		src, dst := netip.AddrPortFrom(f.src, 4000), netip.AddrPortFrom(f.dst, 9)
		keep(craft.UDP(src, dst, []byte("datagram")))
		keep(craft.TCP(src, dst, craft.Segment{Seq: 1, Flags: wire.SYN, Window: 1000, Options: []byte{2, 4, 5, 180}}, nil))
		syn := all[len(all)-1]
		keep(craft.ResetToSender(syn, parsed(t, syn)))
		keep(craft.ResetToReceiver(syn, parsed(t, syn)))
		keep(craft.Echo(f.src, f.dst, 1, 2, []byte("echo")))
		pong := bytes.Clone(all[len(all)-1])
		keep(pong, craft.Reply(pong, parsed(t, pong)))
		about := datagram(t, f.src, f.dst, 1400)
		for _, k := range errorKinds {
			keep(k.build(about, parsed(t, about), netip.Addr{}))
		}
	}
	return all
}

// captured writes packets as a capture file of raw IP.
func captured(t *testing.T, packets [][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(0xffff, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for i, b := range packets {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func run(t *testing.T, stdin []byte, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed (apt-get install %s): %v", program, program, err)
	}
	cmd := exec.Command(path, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr.String())
	}
	return string(out)
}

// tshark, told to look at every checksum, finds nothing to say of what is built here.
func TestTsharkFindsNoFault(t *testing.T) {
	file := captured(t, everything(t))
	bad := "_ws.malformed || _ws.expert.severity >= 0x800000 || ip.checksum.status == 0 || tcp.checksum.status == 0 || " +
		"udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0"
	args := []string{"-n", "-r", "-", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}
	if out := run(t, file, "tshark", append(args, "-Y", bad)...); out != "" {
		t.Errorf("tshark objects to:\n%s", out)
	}
	if out := run(t, file, "tshark", append(args, "-Y", "icmp || icmpv6")...); bytes.Count([]byte(out), []byte("\n")) < 2*len(errorKinds) {
		t.Errorf("tshark sees too few ICMP messages:\n%s", out)
	}
}

// tcpdump checks too, and says so.
func TestTcpdumpFindsNoFault(t *testing.T) {
	out := run(t, captured(t, everything(t)), "tcpdump", "-nvvr", "-")
	for _, bad := range []string{"incorrect", "bad cksum", "wrong", "[|"} {
		if at := bytes.Index([]byte(out), []byte(bad)); at >= 0 {
			t.Errorf("tcpdump says %q: …%s", bad, out[max(0, at-200):min(len(out), at+100)])
		}
	}
}
