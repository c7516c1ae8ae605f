package livetest

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
)

const some = 2000 // packets of a flow

func (b *bench) sink(port uint16) *nettest.Sink {
	b.t.Helper()
	return nettest.ListenUDP(b.t, b.there.NS, netip.AddrPortFrom(b.there.V4, port))
}

func (b *bench) send(s *nettest.Sink, count int) {
	b.t.Helper()
	nettest.SendUDP(b.t, b.here.NS, s.Addr(), nettest.Stream{Count: count, Size: 64})
}

func policyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte("version: 1\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A policy blocks one flow, rewrites another and permits a third: the books and the sinks agree to the packet.
func TestPolicy(t *testing.T) {
	b := newBench(t)
	p := start(t, b.here.NS, "running", "run", "--json", policyFile(t, `
driver: {backend: nfqueue, spin: 50us}
handles:
  - {layer: network, filter: "outbound and udp.DstPort >= 7 and udp.DstPort <= 9"}
filters:
  - {name: blocked, layer: outbound-transport, when: "udp.DstPort == 7", action: block}
  - {name: moved, layer: outbound-transport, when: "udp.DstPort == 8", action: callout, callout: move}
callouts:
  - {name: move, type: rewrite, config: {dst-port: 10}}
`))
	blocked, moved, permitted, target := b.sink(7), b.sink(8), b.sink(9), b.sink(10)
	b.send(blocked, some)
	b.send(moved, some+1)
	b.send(permitted, some+2)
	for _, c := range []struct {
		name string
		sink *nettest.Sink
		want int
	}{{"permitted", permitted, some + 2}, {"the target", target, some + 1}, {"blocked", blocked, 0}, {"moved", moved, 0}} {
		if got := c.sink.Wait(max(c.want, 1)); got.Received != c.want || got.Duplicates+got.Reordered+got.Damaged != 0 {
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
	}
	r := p.end()
	if r.Received != 3*some+3 || r.Passed != 2*some+3 || r.DroppedBy["filter"] != some || r.Lost != 0 {
		t.Errorf("%s; dropped by %v, lost %d", r.Law(), r.DroppedBy, r.Lost)
	}
	b.sound()
	b.leftNothing()
}

// -n ends after exactly so many, --timeout by itself, and what comes then passes by. -w writes what passed.
func TestCountTimeoutAndWrite(t *testing.T) {
	b := newBench(t, nettest.Program("tcpdump", "tcpdump"))
	out := filepath.Join(t.TempDir(), "out.pcapng")
	sink := b.sink(7)
	p := b.divert("udp.DstPort == 7", "-n", "100", "-w", out)
	b.send(sink, 300)
	if r := p.result(); r.Received != 100 || r.Passed != 100 {
		t.Errorf("-n 100: %s", r.Law())
	}
	if got := sink.Wait(300); got.Received != 300 {
		t.Errorf("%+v", got)
	}
	text, err := exec.Command("tcpdump", "-n", "--count", "-r", out, "udp dst port 7 and greater 92").Output()
	if err != nil || !strings.HasPrefix(string(text), "100 packets") {
		t.Errorf("tcpdump: %q, %v", text, err)
	}
	p = b.divert("udp", "--timeout", "200ms")
	if r := p.result(); r.Received != 0 || !strings.Contains(p.log.String(), "the time is over") {
		t.Errorf("%s\n%s", r.Law(), &p.log)
	}
}

// The count is over all handles, and reached though some of them receive nothing.
func TestCountWithIdleHandles(t *testing.T) {
	b := newBench(t)
	p := start(t, b.here.NS, "running", "run", "--json", "-n", "100", policyFile(t, `
driver: {backend: nfqueue}
handles:
  - {layer: forward}
  - {layer: network, filter: "udp.DstPort == 7"}
  - {layer: network, filter: "udp.DstPort == 8"}
`))
	sink := b.sink(7)
	for range 3 { // the last of them may wait for the parts of those that are idle
		b.send(sink, 100)
	}
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 300, Size: 64, Every: 5 * time.Millisecond})
	if r := p.result(); r.Received != 100 || r.Passed != 100 {
		t.Error(r.Law())
	}
}

// auto is nfqueue here; and who may not divert is told what to do.
func TestAutoAndAccess(t *testing.T) {
	b := newBench(t)
	p := start(t, b.here.NS, "running", "run", "udp", "--driver", "auto", "--json", "--timeout", "50ms")
	if p.result(); !strings.Contains(p.log.String(), `"driver": "nfqueue"`) {
		t.Errorf("%s", &p.log)
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "udp", "--driver", "nfqueue"}, {"dump", "udp"}} {
		cmd := exec.Command(path, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "run as root") ||
			!strings.Contains(string(out), "weir doctor") {
			t.Errorf("%v as nobody: %v\n%s", args, err, out)
		}
	}
}

// With fail-closed nothing that matches passes after a kill, until the program runs again and ends by itself.
func TestFailClosed(t *testing.T) {
	b := newBench(t)
	sink := b.sink(7)
	policy := policyFile(t, fmt.Sprintf(`
driver: {backend: nfqueue, fail-closed: true}
handles: [{layer: network, filter: "udp.DstPort == %d"}]
`, 7))
	p := start(t, b.here.NS, "running", "run", policy, "--json")
	p.kill()
	b.send(sink, 10)
	if got := sink.Wait(1); got.Received != 0 {
		t.Errorf("%+v: something passed after the kill", got)
	}
	p = start(t, b.here.NS, "running", "run", policy, "--json")
	b.send(sink, 10)
	if got := sink.Wait(10); got.Received != 10 {
		t.Errorf("%+v: not all passed when it ran again", got)
	}
	p.endPassed(10)
	b.leftNothing()
}
