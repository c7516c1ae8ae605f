package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/internal/daemon"
)

const quickstart = "../../examples/quickstart.yaml"

// run runs `weir run --json` and asserts the law of conservation on what it prints, whatever the status.
func run(t *testing.T, status int, args ...string) (daemon.Result, outcome) {
	t.Helper()
	return runOn(t, "", status, args...)
}

func runOn(t *testing.T, stdin string, status int, args ...string) (daemon.Result, outcome) {
	t.Helper()
	o := weir(t, stdin, append([]string{"run", "--json"}, args...)...)
	if o.status != status {
		t.Fatalf("status %d, want %d: %s", o.status, status, o.err)
	}
	return decode(t, o.out), o
}

// decode reads the one object that a run prints; an unknown or missing key is an error.
func decode(t *testing.T, out string) (r daemon.Result) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if d.More() {
		t.Fatalf("more than one object: %s", out)
	}
	for _, key := range strings.Fields("received passed dropped held in_batch injected completed failed lost dropped_by by_filter duration_ns") {
		if !strings.Contains(out, `"`+key+`":`) {
			t.Errorf("key %s is missing: %s", key, out)
		}
	}
	if err := r.Conserved(); err != nil {
		t.Error(err)
	}
	return r
}

var duration = regexp.MustCompile(`"duration_ns": \d+|took .*`)

// masked hides what differs from run to run.
func masked(out string) string {
	return duration.ReplaceAllStringFunc(out, func(s string) string {
		if strings.HasPrefix(s, "took") {
			return "took TIME"
		}
		return `"duration_ns": TIME`
	})
}

// The first command of the README does the whole job: something is blocked, rewritten, rejected, and injected inbound.
func TestQuickstart(t *testing.T) {
	r, o := run(t, exitDone, quickstart)
	golden(t, "quickstart.json", masked(o.out))
	if r.DroppedBy["filter"] == 0 || r.DroppedBy["rejected"] == 0 || r.Injected == 0 {
		t.Errorf("dropped by %v, injected %d", r.DroppedBy, r.Injected)
	}
	counted := map[string]map[string]uint64{}
	for _, c := range r.Callouts {
		counted[c.Name] = c.Counters
	}
	if counted["greeting"]["rewritten"] == 0 || counted["refuse"]["answered"] == 0 {
		t.Errorf("callouts counted %v", counted)
	}
	o = weir(t, "", "run", quickstart)
	golden(t, "quickstart.txt", masked(o.out))
	if law := "received 201 = passed "; !strings.Contains(o.out, law) || o.status != exitDone {
		t.Errorf("status %d, no line with %q", o.status, law)
	}
}

// What -w has is what passed and what was injected; the resets went to the client, inbound, and were not in the capture.
func TestQuickstartWrites(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.pcapng")
	r, _ := run(t, exitDone, quickstart, "-w", out)
	before, _ := packets(t, captures+"mixed.pcapng")
	written, frames := packets(t, out)
	if uint64(len(written)) != r.Passed+r.Injected || *r.Capture.Written != r.Passed+r.Injected || frames != len(written)+2 {
		t.Errorf("%d packets and %d frames written, passed %d, injected %d", len(written), frames, r.Passed, r.Injected)
	}
	known := map[string]bool{}
	for _, p := range before {
		known[string(p.data)] = true
	}
	changed, injected := 0, uint64(0)
	for _, p := range written {
		switch {
		case known[string(p.data)]:
		case p.direction == pcapdrv.Inbound:
			injected++
		default:
			changed++
		}
	}
	if injected != r.Injected || changed == 0 {
		t.Errorf("%d new inbound packets, want %d; %d rewritten outbound ones", injected, r.Injected, changed)
	}
}

type packet struct {
	data      []byte
	direction pcapdrv.Direction
}

// packets reads the IP packets of a capture of raw IP or Ethernet without tags, and counts its frames.
func packets(t *testing.T, path string) (all []packet, frames int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapdrv.NewReader(f, path)
	if err != nil {
		t.Fatal(err)
	}
	var frame pcapdrv.Frame
	for ; ; frames++ {
		err := r.Next(&frame)
		if errors.Is(err, io.EOF) {
			return all, frames
		}
		if err != nil {
			t.Fatal(err)
		}
		data := frame.Data
		if frame.Link == pcapdrv.LinkEthernet {
			if typ := fmt.Sprintf("%x", data[12:14]); typ != "0800" && typ != "86dd" {
				continue
			}
			data = data[14:]
		}
		if data[0]>>4 == 4 { // Ethernet pads
			data = data[:int(data[2])<<8|int(data[3])]
		}
		all = append(all, packet{bytes.Clone(data), frame.Direction})
	}
}

func TestFilterAlone(t *testing.T) {
	r, _ := run(t, exitDone, "udp.DstPort == 53 or udp.SrcPort == 53", "-r", captures+"dns.pcap")
	if r.Received != 14 || r.Passed != 14 || r.Capture.Packets != 24 || len(r.ByFilter) != 0 {
		t.Errorf("%+v", r)
	}
	if r.Capture.Written != nil {
		t.Error("nothing was to be written")
	}
}

// Exactly so many are received, whatever the batch, and no packet behind the last leaves.
func TestCount(t *testing.T) {
	for _, n := range []uint64{1, 2, 63, 64, 65, 100, 254, 255, 256, 600} {
		r, _ := run(t, exitDone, "true", "-n", fmt.Sprint(n))
		if r.Received != n || r.Passed != n {
			t.Errorf("-n %d: received %d, passed %d", n, r.Received, r.Passed)
		}
	}
	out := filepath.Join(t.TempDir(), "out.pcapng")
	r, _ := run(t, exitDone, "tcp", "-r", captures+"mixed.pcapng", "-n", "70", "-w", out)
	all, _ := packets(t, out)
	tcp := 0
	for _, p := range all {
		if p.data[0]>>4 == 4 && p.data[9] == 6 || p.data[0]>>4 == 6 && p.data[6] == 6 {
			tcp++
		}
	}
	if r.Received != 70 || tcp != 70 {
		t.Errorf("received %d, %d TCP packets written, want 70", r.Received, tcp)
	}
	if r, _ := run(t, exitDone, "tcp", "-r", captures+"mixed.pcapng", "-n", "1000"); r.Received != 141 {
		t.Errorf("received %d, want all 141 of a capture that has no more", r.Received)
	}
}

// The count is over all handles.
func TestCountOfSeveralHandles(t *testing.T) {
	two := tempFile(t, "two.yaml", `
version: 1
driver: {backend: sim, packets: 20000}
handles:
  - {layer: network, filter: "outbound", priority: 5}
  - {layer: network, filter: "true"}
`)
	for _, n := range []uint64{1, 3, 64, 1000} {
		if r, _ := run(t, exitDone, two, "-n", fmt.Sprint(n)); r.Received != n {
			t.Errorf("-n %d: received %d", n, r.Received)
		}
	}
	if r, _ := run(t, exitDone, two); r.Received <= 20_000 {
		t.Errorf("received %d, want those of the upper handle twice", r.Received)
	}
}

func TestTimeout(t *testing.T) {
	r, o := run(t, exitDone, "true", "--packets", "0", "--timeout", "20ms")
	if r.Received == 0 || !strings.Contains(o.err, "the time is over") {
		t.Errorf("received %d: %s", r.Received, o.err)
	}
}

// The same seed gives the same packets, also in the file.
func TestSimulatedIsRepeatable(t *testing.T) {
	dir := t.TempDir()
	write := func(name, seed string) []byte {
		path := filepath.Join(dir, name)
		r, _ := run(t, exitDone, "true", "--packets", "500", "--seed", seed, "-w", path)
		if r.Received != 500 || r.Capture != nil {
			t.Fatalf("%+v", r)
		}
		if all, _ := packets(t, path); len(all) != 500 {
			t.Fatalf("%d packets written", len(all))
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := write("a", "7")
	if !bytes.Equal(first, write("b", "7")) {
		t.Error("seed 7 gave two different files")
	}
	if bytes.Equal(first, write("c", "8")) {
		t.Error("seeds 7 and 8 gave the same file")
	}
}

// A capture that is cut off is judged up to there, the result is printed, and the status says that it failed.
func TestDamagedCapture(t *testing.T) {
	whole, err := os.ReadFile(captures + "http.pcap")
	if err != nil {
		t.Fatal(err)
	}
	path := tempFile(t, "cut.pcap", string(whole[:len(whole)-10]))
	r, o := run(t, exitFailed, "true", "-r", path)
	if r.Received != 53 || r.Passed != 53 {
		t.Errorf("received %d, passed %d, want 53", r.Received, r.Passed)
	}
	if !strings.Contains(o.err, "cut.pcap: ") || !strings.Contains(o.err, "53, at byte ") || !strings.Contains(o.err, "cut off") {
		t.Errorf("stderr %q", o.err)
	}
	o = weir(t, "", "run", "true", "-r", path)
	if o.status != exitFailed || !strings.Contains(o.out, "received 53 = passed 53") {
		t.Errorf("status %d, %q", o.status, o.out)
	}
}

func TestStdin(t *testing.T) {
	whole, err := os.ReadFile(captures + "dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := runOn(t, string(whole), exitDone, "udp", "-r", "-"); r.Received != 14 {
		t.Errorf("received %d", r.Received)
	}
	runOn(t, string(whole[:100]), exitFailed, "udp", "-r", "-")
	if o := weir(t, "", "run", "true", "-r", "-"); o.status != exitFailed || !strings.Contains(o.err, "it is empty") {
		t.Errorf("status %d: %s", o.status, o.err)
	}
}

// Flags win over the policy, and what the policy says of another driver is left.
func TestFlagsOverride(t *testing.T) {
	r, _ := run(t, exitDone, quickstart, "-r", captures+"dns.pcap", "--local", "10.77.0.0/30")
	if r.Capture.Frames != 24 {
		t.Errorf("-r: %d frames", r.Capture.Frames)
	}
	r, _ = run(t, exitDone, quickstart, "--driver", "sim", "--packets", "123")
	if r.Capture != nil || r.Received != 123 {
		t.Errorf("--driver sim: received %d", r.Received)
	}
	sim := tempFile(t, "sim.yaml", "version: 1\ndriver: {backend: sim, packets: 50, seed: 3}\n")
	if r, _ = run(t, exitDone, sim); r.Received != 50 {
		t.Errorf("received %d, want the policy's 50", r.Received)
	}
	if r, _ = run(t, exitDone, sim, "--packets", "60"); r.Received != 60 {
		t.Errorf("received %d, want the flag's 60", r.Received)
	}
	if r, _ = run(t, exitDone, sim, "-r", captures+"dns.pcap"); r.Received != 24 {
		t.Errorf("received %d, want those of the capture", r.Received)
	}
}

func TestDryRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.pcapng")
	args := []string{"run", quickstart, "--dry-run", "-n", "10"}
	golden(t, "dryrun.txt", filepath.ToSlash(weir(t, "", args...).out))
	golden(t, "dryrun.json", filepath.ToSlash(weir(t, "", append(args, "--json")...).out))
	o := weir(t, "", "run", "tcp.DstPort == 443", "--dry-run", "-w", out)
	if o.status != exitDone || !strings.Contains(o.out, "nothing was opened") || !strings.Contains(o.out, "tcp.DstPort == 443") {
		t.Errorf("status %d: %s%s", o.status, o.out, o.err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a dry run made %s: %v", out, err)
	}
}

func TestLogFormats(t *testing.T) {
	_, o := run(t, exitDone, "true", "--packets", "3", "--log-format", "json")
	lines := strings.Split(strings.TrimSpace(o.err), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), o.err)
	}
	for i, msg := range []string{"running", "stopped"} {
		var line struct{ Level, Time, Msg string }
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil || line.Msg != msg || line.Level != "info" || line.Time == "" {
			t.Errorf("%v: %s", err, lines[i])
		}
	}
	if _, o = run(t, exitDone, "true", "--packets", "3", "--log-level", "warn"); o.err != "" {
		t.Errorf("a run without trouble warns: %s", o.err)
	}
}
