package daemon_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/callouts/tap"
)

// tapped is a plan with a tap for each path.
func tapped(t *testing.T, plan daemon.Plan, paths ...string) daemon.Plan {
	t.Helper()
	var filters []processor.Filter
	for i, path := range paths {
		c, err := tap.New("tap", tap.Config{Write: path})
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, processor.Filter{
			Name: string(rune('a' + i)), Layer: processor.OutboundIPPacket, Action: processor.ActionCalloutInspection, Callout: c,
		})
	}
	var err error
	if plan.Policy, err = processor.NewPolicy(nil, filters); err != nil {
		t.Fatal(err)
	}
	return plan
}

// Callouts with a file are started before packets come, and have written all when the run is over.
func TestTaps(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tap.pcapng")
	r, err := run(t, tapped(t, sim(t, 1000), path))
	if err != nil || len(r.Callouts) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	n := r.Callouts[0].Counters
	if n["shown"] != r.ByFilter[0].Matched || n["written"]+n["unwritten"] != 2*n["shown"] || n["written"] == 0 {
		t.Errorf("%v of %d", n, r.ByFilter[0].Matched)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < 1000 {
		t.Errorf("%v, %v", info, err)
	}
}

// Two that would write one file, or what the driver uses, are refused before anything is written.
func TestTapsDoNotShareFiles(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.pcap")
	capture, err := os.ReadFile("../../testdata/captures/dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	read := daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: in}, Handles: everything(t)}
	write := sim(t, 10)
	write.Driver.Out = filepath.Join(dir, "out.pcapng")
	one := filepath.Join(dir, "one.pcapng")
	for says, plan := range map[string]daemon.Plan{
		"which the driver reads":     tapped(t, read, filepath.Join(dir, ".", "in.pcap")),
		"which the driver writes":    tapped(t, write, write.Driver.Out),
		`which callout "tap" writes`: tapped(t, sim(t, 10), one, dir+"/sub/../one.pcapng"),
		"no such file or directory":  tapped(t, sim(t, 10), one, filepath.Join(dir, "no", "where.pcapng")),
	} {
		s, err := daemon.Open(plan, daemon.NoLog())
		if s != nil || err == nil || says != "no such file or directory" && !strings.Contains(err.Error(), says) ||
			says == "no such file or directory" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
	if after, err := os.ReadFile(in); err != nil || len(after) != len(capture) {
		t.Errorf("the capture has %d bytes now, %v", len(after), err)
	}
}

// When a capture is run, time is that of its packets, however fast it is read: a flow that was silent for longer than it may be
// is over, and the next packet opens another.
func TestCapturesRunByTheirOwnTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "two.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapdrv.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := craft.UDP(netip.MustParseAddrPort("10.0.0.1:5000"), netip.MustParseAddrPort("10.0.0.2:53"), []byte("?"))
	if err != nil {
		t.Fatal(err)
	}
	const second = int64(1e9)
	for _, at := range []int64{0, 50, 100, 200, 210} { // one pause is longer than the minute that datagrams have
		if err := w.Write(pcapdrv.Record{Time: 1_700_000_000*second + at*second, Data: data, Link: pcapdrv.LinkRaw}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := run(t, daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: path}, Handles: everything(t)})
	if err != nil || r.Received != 5 || r.Pipeline["flows"] != 2 || r.Pipeline["flows_idle"] != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}
