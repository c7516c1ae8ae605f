package livetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/internal/nettest"
)

// The disk that records of packets go to gets full: traffic goes on, the log tells at once, what is not written is counted, and the
// end is an error that says so.
func TestDiskFull(t *testing.T) {
	b := newBench(t, nettest.Program("ping", "iputils-ping"))
	dir := t.TempDir()
	if err := unix.Mount("weir", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	text := `version: 1
driver: {backend: nfqueue, write: ` + dir + `/passed.pcapng}
filters: [{name: look, layer: outbound-transport, action: callout, callout: tap, type: inspection}]
callouts: [{name: tap, type: tap, config: {write: ` + dir + `/tap.pcapng}}]
`
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := b.divert(policy, "--allow-write", dir)
	const pings = 200
	out, err := b.here.NS.Run("ping", "-n", "-q", "-c", "200", "-i", "0.002", "-W", "5", "-s", "1200", b.there.V4.String())
	if err != nil || !strings.Contains(out, "200 packets transmitted, 200 received, 0% packet loss") {
		t.Errorf("ping: %v\n%s", err, out)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 1 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{dir + "/passed.pcapng: no space left on device", dir + "/tap.pcapng: no space left on device"} {
		if told := strings.Count(p.log.String(), want); told < 1 || !strings.Contains(p.log.String(), "output-broke") {
			t.Errorf("the log tells %d times of %s:\n%s", told, want, p.log.String())
		}
	}
	if n := strings.Count(p.log.String(), `"output-broke"`); n != 2 {
		t.Errorf("%d times output-broke:\n%s", n, p.log.String())
	}
	var r daemon.Result
	if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if err := r.Conserved(); err != nil || r.Passed < 2*pings || r.Passed != r.Received || r.Lost != 0 {
		t.Errorf("%s; lost %d, %v", r.Law(), r.Lost, err)
	}
	var counters map[string]uint64
	for _, c := range r.Callouts {
		counters = c.Counters
	}
	if counters["shown"] < pings || counters["unwritten"] == 0 || counters["written"]+counters["unwritten"] != 2*counters["shown"] {
		t.Errorf("tap: %v", counters)
	}
	t.Logf("%s; tap %v", r.Law(), counters)
	b.sound()
}
