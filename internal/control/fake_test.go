package control

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/processor"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a daemon that says the same every time.
type fake struct {
	refuse  bool // reloads
	busy    bool
	level   LogLevel
	traces  chan *Trace
	packets chan pcapdrv.Record
	over    chan struct{}
	closed  atomic.Int32 // feeds
}

func newFake() *fake {
	return &fake{traces: make(chan *Trace, 100), packets: make(chan pcapdrv.Record, 100), over: make(chan struct{})}
}

var then = time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)

func (*fake) Status() Status {
	return Status{
		API: Version, Weir: Build{Version: "v1.0.0", Go: "go1.26", Platform: "linux/amd64"}, PID: 7, State: Running, Started: then, UptimeNS: 1e9,
		Driver:  DriverStatus{Name: "nfqueue", Open: true},
		Policy:  PolicyStatus{Path: "policy.yaml", LoadedAt: then, Filters: 1, Handles: 1},
		Reloads: Reloads{Applied: 1, Last: &ReloadResult{At: then, By: "signal", Applied: true, TookNS: 5e6, Added: []string{"no-9"}, HandlesKept: 1, FlowsToAsk: 3}},
		Process: Process{Goroutines: 11, HeapBytes: 1e6},
	}
}

func (*fake) ControlStats() Stats {
	b := Books{
		Received: 10, Passed: 7, Dropped: 2, Held: 1, Injected: 3, Completed: 2, Failed: 1, BytesReceived: 1000,
		DroppedBy: map[string]uint64{"filter": 2}, LostBy: map[string]uint64{},
	}
	queued := uint64(4)
	return Stats{
		At: then, UptimeNS: 1e9, Total: b,
		Handles:  []HandleStats{{Layer: "network", Filter: "true", Books: b, Queued: &queued}},
		Filters:  []FilterStats{{Name: "no-9", Layer: "inbound-transport", Matched: 2, Blocked: 2}},
		Callouts: []CalloutStats{{Name: "seen", Counters: map[string]uint64{"packets": 8}, Took: Latency{Count: 1, Buckets: []uint64{0, 1}}}},
		Pipeline: map[string]uint64{"deferred": 1}, Control: map[string]uint64{"requests": 1}, Batches: Latency{Count: 2, SumNS: 700, Buckets: []uint64{1, 1}},
	}
}

func (*fake) Flows(q FlowQuery) (Flows, error) {
	f := Flow{
		Protocol: "tcp", Source: "10.0.0.1:5000", Destination: "10.0.0.2:443", Outbound: true, State: "established", Packets: 5, Bytes: 900,
		AgeNS: 2e9, IdleNS: 1e6,
	}
	if q.Match == "none" {
		return Flows{Total: 1, Flows: []Flow{}}, nil
	}
	return Flows{Total: 1, Flows: []Flow{f}}, nil
}

func (*fake) Filters() Filters {
	return Filters{[]Filter{{
		FilterStats: FilterStats{Name: "no-9", Layer: "inbound-transport", Matched: 2, Blocked: 2}, Sublayer: "default", Weight: 7, Action: "block",
		When: "tcp.DstPort == 9",
	}}}
}

func (*fake) Explain(r *ExplainRequest) (*processor.Explanation, error) {
	if len(r.Packet) == 0 {
		return nil, &Error{http.StatusBadRequest, CodeBadRequest, "no packet", nil}
	}
	return &processor.Explanation{Packet: "outbound tcp", Layers: []processor.LayerExplanation{}, Verdict: "pass"}, nil
}

func (f *fake) Reload(_ context.Context, by string) (ReloadResult, error) {
	switch {
	case f.busy:
		return ReloadResult{}, errors.New("another change is under way; try again")
	case f.refuse:
		return ReloadResult{At: then, By: by, Error: "policy.yaml:3:7: wrong", Problems: []Problem{{File: "policy.yaml", Line: 3, Column: 7, Message: "wrong"}}}, nil
	}
	return ReloadResult{At: then, By: by, Applied: true, Added: []string{"a"}, Removed: []string{"b"}, Changed: []string{"c"}, HandlesOpened: 1}, nil
}

func (f *fake) LogLevels() LogLevels {
	return LogLevels{map[string]string{"daemon": "info", "reload": "debug"}}
}

func (f *fake) SetLogLevel(l LogLevel) error {
	if l.Level != "warn" {
		return errors.New("unknown log level: want one of debug, info, warn, error")
	}
	f.level = l
	return nil
}

func (f *fake) Pause(context.Context) error  { return nil }
func (f *fake) Resume(context.Context) error { return errors.New("the driver cannot be opened") }

func (f *fake) Trace(TraceQuery) (*Feed[*Trace], error) {
	return &Feed[*Trace]{C: f.traces, Over: f.over, Close: func() { f.closed.Add(1) }}, nil
}

func (f *fake) Dump(TraceQuery) (*Feed[pcapdrv.Record], error) {
	return &Feed[pcapdrv.Record]{C: f.packets, Over: f.over, Close: func() { f.closed.Add(1) }}, nil
}

// golden compares with a file in testdata, which -update writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test ./internal/control -update writes it):\n got:\n%s\n want:\n%s", path, got, want)
	}
}
