package control

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/processor"
)

// patience bounds every wait.
const patience = 30 * time.Second

// serve serves on a socket until the test ends.
func serve(t *testing.T, cfg Config) (*Server, *Client) {
	t.Helper()
	path := place(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(cfg)
	over := make(chan error)
	go func() { over <- s.Serve(l) }()
	c := NewClient(Address{Path: path, Token: cfg.Token})
	t.Cleanup(func() {
		c.Close()
		if err := errors.Join(s.Close(), <-over); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// The client understands what the server says: each call once.
func TestClient(t *testing.T) {
	d := newFake()
	_, c := serve(t, Config{Daemon: d})
	status, err := c.Status(ctx(t))
	if err != nil || status.State != Running || status.Reloads.Last.Added[0] != "no-9" {
		t.Errorf("%v %+v", err, status)
	}
	stats, err := c.Stats(ctx(t))
	if err != nil || stats.Total.Received != 10 || *stats.Handles[0].Queued != 4 || stats.Callouts[0].Counters["packets"] != 8 {
		t.Errorf("%v %+v", err, stats)
	}
	flows, err := c.Flows(ctx(t), FlowQuery{Sort: SortAge, Limit: 3, Match: "x"})
	if err != nil || len(flows.Flows) != 1 || flows.Flows[0].Source != "10.0.0.1:5000" {
		t.Errorf("%v %+v", err, flows)
	}
	filters, err := c.Filters(ctx(t))
	if err != nil || filters.Filters[0].When != "tcp.DstPort == 9" || filters.Filters[0].Blocked != 2 {
		t.Errorf("%v %+v", err, filters)
	}
	x, err := c.Explain(ctx(t), ExplainRequest{Packet: []byte{0x45}, Outbound: true})
	if err != nil || x.Verdict != "pass" {
		t.Errorf("%v %+v", err, x)
	}
	levels, err := c.SetLogLevel(ctx(t), LogLevel{Component: "reload", Level: "warn"})
	if err != nil || levels.Levels["daemon"] != "info" || d.level.Component != "reload" {
		t.Errorf("%v %+v %+v", err, levels, d.level)
	}
	if levels, err = c.LogLevels(ctx(t)); err != nil || len(levels.Levels) != 2 {
		t.Errorf("%v %+v", err, levels)
	}
	if s, err := c.Pause(ctx(t)); err != nil || s.PID != 7 {
		t.Errorf("%v %+v", err, s)
	}
	r, err := c.Reload(ctx(t))
	if err != nil || !r.Applied || r.By != "control" {
		t.Errorf("%v %+v", err, r)
	}
}

// Errors come over as they are.
func TestClientErrors(t *testing.T) {
	_, c := serve(t, Config{Daemon: &fake{refuse: true}})
	var e *Error
	if _, err := c.Reload(ctx(t)); !errors.As(err, &e) || e.Code != CodeRefused || e.Status != http.StatusUnprocessableEntity ||
		e.Reload.Problems[0].Line != 3 || e.Error() != "policy.yaml:3:7: wrong" {
		t.Errorf("%+v", e)
	}
	if _, err := c.Resume(ctx(t)); !errors.As(err, &e) || e.Code != CodeUnavailable || e.Message != "the driver cannot be opened" {
		t.Errorf("%+v", e)
	}
	if _, err := c.Explain(ctx(t), ExplainRequest{}); !errors.As(err, &e) || e.Code != CodeBadRequest {
		t.Errorf("%+v", e)
	}
	nobody := NewClient(Address{Path: filepath.Join(t.TempDir(), "none")})
	if _, err := nobody.Status(ctx(t)); err == nil || !strings.Contains(err.Error(), "is weir running?") {
		t.Errorf("%v", err)
	}
}

// A subscriber gets what is told, and is gone when it has enough, goes, or the daemon ends.
func TestTrace(t *testing.T) {
	d := newFake()
	_, c := serve(t, Config{Daemon: d})
	for i := range 5 {
		d.traces <- &Trace{Handle: i, Explanation: processor.Explanation{Verdict: "drop", Layers: []processor.LayerExplanation{}}}
	}
	n := 0
	err := c.Trace(ctx(t), TraceQuery{Count: 3}, func(x *Trace) error {
		if x.Handle != n || x.Verdict != "drop" {
			t.Errorf("%+v", x)
		}
		n++
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("%d told, %v", n, err)
	}
	enough := errors.New("enough")
	if err := c.Trace(ctx(t), TraceQuery{}, func(*Trace) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	over := make(chan error)
	go func() { over <- c.Trace(ctx(t), TraceQuery{}, func(*Trace) error { return nil }) }()
	close(d.over)
	if err := <-over; err != nil {
		t.Errorf("%v", err)
	}
	for until := time.Now().Add(patience); d.closed.Load() != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d subscriptions ended, want 3", d.closed.Load())
		}
	}
}

// What is dumped is a capture file.
func TestDump(t *testing.T) {
	d := newFake()
	_, c := serve(t, Config{Daemon: d})
	packet := append([]byte{0x45, 0, 0, 21, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, 7)
	for range 4 {
		d.packets <- pcapdrv.Record{Time: then.UnixNano(), Data: packet, WireLen: len(packet), Link: pcapdrv.LinkRaw, Comment: "pass"}
	}
	var b bytes.Buffer
	if err := c.Dump(ctx(t), TraceQuery{Count: 4}, &b); err != nil {
		t.Fatal(err)
	}
	driver, err := pcapdrv.Open(pcapdrv.Options{Reader: &b})
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: driver, Flags: divertdrv.Sniff})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	batch, n := divertdrv.NewBatch(8, divertdrv.MTUMax), 0
	for h.Recv(batch) == nil {
		n += batch.Len()
		if err := h.Complete(batch); err != nil {
			t.Fatal(err)
		}
	}
	if n != 4 || driver.Stats().Frames != 4 {
		t.Errorf("%d packets, %+v; want 4", n, driver.Stats())
	}
}

// Connections beyond the limit are closed at once; those that are there go on, and room is found again.
func TestConnectionsMax(t *testing.T) {
	s, c := serve(t, Config{Daemon: newFake()})
	var conns []net.Conn
	for range ConnectionsMax {
		conn, err := dial(ctx(t), c.at.Path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	await(t, func() bool { return s.Counters().Connections.Load() == ConnectionsMax })
	conn, err := dial(ctx(t), c.at.Path)
	if err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil || s.Counters().Overflow.Load() == 0 {
		t.Errorf("one more was served: %v", err)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	await(t, func() bool { return s.Counters().Connections.Load() == 0 })
	if _, err := c.Status(ctx(t)); err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, what func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("waited for too long")
		}
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"": DefaultPath(), "/run/x": "/run/x", "http://127.0.0.1:9000": "http://127.0.0.1:9000", "http://[::1]:9000/": "http://[::1]:9000",
		"https://x": "error", "http://": "error", "http://u:p@h:1": "error", "http://h:1/v1": "error", "tcp://h:1": "error",
	} {
		a, err := ParseAddress(text)
		if got := a.String(); err == nil && got != want || (err != nil) != (want == "error") {
			t.Errorf("%q: %v, %v; want %s", text, a, err, want)
		}
	}
}

func TestListenTCP(t *testing.T) {
	for _, at := range []string{":0", "127.0.0.1", "x"} {
		if l, err := ListenTCP(at); err == nil {
			t.Errorf("%q is taken", at)
			_ = l.Close()
		}
	}
	for _, at := range []string{"0.0.0.0:0", "192.0.2.1:0", "[::]:0", "localhost:0", ":0"} {
		if l, err := ListenLoopback(at); err == nil {
			t.Errorf("%q is taken for loopback", at)
			_ = l.Close()
		}
	}
	l, err := ListenLoopback("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
