package daemon_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

func sim(t *testing.T, packets int) daemon.Plan {
	t.Helper()
	return daemon.Plan{Driver: daemon.Driver{Backend: daemon.Sim, Packets: packets, Seed: 1}, Handles: everything(t)}
}

func TestSimulated(t *testing.T) {
	r, err := run(t, sim(t, 1000))
	if err != nil || r.Received != 1000 || r.Passed != 1000 || r.Capture != nil || r.BytesReceived < 20_000 || r.DurationNS <= 0 {
		t.Fatalf("%v, %+v", err, r)
	}
}

// Every kind of handle is booked right: one that drops in the driver, one that only looks, and one below them.
func TestHandles(t *testing.T) {
	plan := sim(t, 1000)
	plan.Handles = []policy.Handle{
		{Filter: program(t, "udp.DstPort == 53", divertdrv.Network), Priority: 9, Flags: divertdrv.DropAll},
		{Filter: program(t, "tcp", divertdrv.Network), Priority: 5, Flags: divertdrv.Sniff},
		{Filter: program(t, "true", divertdrv.Network)},
	}
	r, err := run(t, plan)
	if err != nil || r.DroppedBy["drop-handle"] == 0 || r.Received <= 1000 {
		t.Fatalf("%v, %+v", err, r)
	}
}

// A run without end ends when it is told, and has the whole result.
func TestCancel(t *testing.T) {
	s, err := daemon.Open(sim(t, 0), daemon.NoLog())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.Progress().Done < 100 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	r, err := s.Run(ctx)
	if err != nil || r.Received < 100 || r.Received != r.Passed || r.Conserved() != nil {
		t.Fatalf("%v, %+v", err, r)
	}
}

func TestTimeout(t *testing.T) {
	plan := sim(t, 0)
	plan.Timeout = time.Millisecond
	if _, err := run(t, plan); err != nil {
		t.Fatal(err)
	}
}

// keeper holds every packet and never lets one go by itself.
type keeper struct{ mark divertdrv.Mark }

func (keeper) Name() string { return "keeper" }

func (k keeper) Classify(c *processor.Classification) processor.Verdict {
	_, _ = c.Hold(0, k.mark)
	return processor.Verdict{}
}

// What is held when a run ends takes its default, and is in the books.
func TestHeldAtTheEnd(t *testing.T) {
	for _, mark := range []divertdrv.Mark{divertdrv.Pass, divertdrv.Drop} {
		pol, err := processor.NewPolicy(nil, []processor.Filter{{
			Name: "keep", Layer: processor.OutboundIPPacket, Action: processor.ActionCalloutUnknown, Callout: keeper{mark},
		}})
		if err != nil {
			t.Fatal(err)
		}
		plan := sim(t, 2000)
		plan.Policy = pol
		r, err := run(t, plan)
		if err != nil || r.Held != 0 || r.Pipeline["held"] == 0 {
			t.Fatalf("%v: %v, %+v", mark, err, r)
		}
		if abandoned := r.DroppedBy["abandoned"]; (abandoned > 0) != (mark == divertdrv.Drop) {
			t.Errorf("%v: dropped by %v", mark, r.DroppedBy)
		}
	}
}

// A pipe that waits for more is ended with the run, even in the middle of a frame.
func TestPipeIsInterrupted(t *testing.T) {
	whole, err := os.ReadFile("../../testdata/captures/dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	in, feed := io.Pipe()
	defer in.Close() // ends the goroutine that reads it
	go func() { _, _ = feed.Write(whole[:len(whole)-5]) }()
	plan := daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: "-", Stdin: in}, Handles: everything(t)}
	plan.Count = 1000 // so that progress is in packets
	s, err := daemon.Open(plan, daemon.NoLog())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.Progress().Done < 23 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	r, err := s.Run(ctx)
	if err != nil || r.Received != 23 || r.Conserved() != nil {
		t.Fatalf("%v, %+v", err, r)
	}
}

// A pipe that ends by itself in the middle of a frame is a fault.
func TestPipeIsCut(t *testing.T) {
	whole, err := os.ReadFile("../../testdata/captures/dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	plan := daemon.Plan{
		Driver:  daemon.Driver{Backend: daemon.Pcap, In: "-", Stdin: strings.NewReader(string(whole[:len(whole)-5]))},
		Handles: everything(t),
	}
	if r, err := run(t, plan); !errors.Is(err, pcapdrv.ErrTruncated) || r.Received != 23 {
		t.Fatalf("%v, %+v", err, r)
	}
}

// A full disk ends the run, with the error once.
func TestOutputBreaks(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skipf("this system has no %s, which is always full: %v", full, err)
	}
	plan := sim(t, 0)
	plan.Driver.Out = full
	if _, err := run(t, plan); err == nil || strings.Count(err.Error(), full) != 1 {
		t.Errorf("simulator: %v", err)
	}
	plan = capturePlan(t, "../../testdata/captures/iperf3.pcap", full)
	r, err := run(t, plan)
	if err == nil || !strings.Contains(err.Error(), full) {
		t.Errorf("capture: %v", err)
	}
	if r.Received != r.Passed+r.DroppedBy["send-failed"] {
		t.Errorf("%+v", r)
	}
}

// What cannot be opened says so and leaves nothing open (goleak, and the temporary folder can be removed on Windows too).
func TestOpenFails(t *testing.T) {
	forward := []policy.Handle{{Filter: program(t, "true", divertdrv.NetworkForward)}}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		plan daemon.Plan
		is   error
	}{
		"no capture":   {daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: filepath.Join(dir, "none")}, Handles: everything(t)}, os.ErrNotExist},
		"no place":     {daemon.Plan{Driver: daemon.Driver{Backend: daemon.Sim, Out: filepath.Join(dir, "none", "x")}, Handles: everything(t)}, os.ErrNotExist},
		"not yet":      {daemon.Plan{Driver: daemon.Driver{Backend: daemon.WinDivert}, Handles: everything(t)}, daemon.ErrNotYet},
		"layer":        {daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: "../../testdata/captures/dns.pcap", Out: filepath.Join(dir, "out")}, Handles: forward}, divertdrv.ErrUnsupported},
		"sim and read": {daemon.Plan{Driver: daemon.Driver{Backend: daemon.Sim, In: "x"}, Handles: everything(t)}, nil},
		"no handles":   {daemon.Plan{Driver: daemon.Driver{Backend: daemon.Sim}}, nil},
		"bad pipe":     {daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: "-", Stdin: strings.NewReader("no capture")}, Handles: everything(t)}, pcapdrv.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := daemon.Open(c.plan, daemon.NoLog())
			if err == nil || s != nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("%v, %v; want %v", s, err, c.is)
			}
		})
	}
}
