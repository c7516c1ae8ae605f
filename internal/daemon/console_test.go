package daemon

import (
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/control"
)

// console starts what is around a session before it runs, and returns its client.
func (w *world) console(c *Console) *control.Client {
	w.t.Helper()
	if c.Control == "" {
		c.Control = socketPath(w.t)
	}
	end, err := c.Start(w.s)
	if err != nil {
		w.t.Fatal(err)
	}
	client := control.NewClient(control.Address{Path: c.Control})
	w.t.Cleanup(func() {
		client.Close()
		w.stop()
		end()
	})
	return client
}

func socketPath(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		return `\\.\pipe\weir-` + strings.ReplaceAll(t.Name(), "/", "-")
	}
	return filepath.Join(t.TempDir(), "s")
}

// opened is a world whose session is open and does not run yet.
func (w *world) opened() *world {
	w.t.Helper()
	w.hold = make(chan struct{})
	return w.start()
}

// What the API says of a session is what the session did.
func TestControl(t *testing.T) {
	w := newWorld(t, startPolicy).opened()
	c := w.console(&Console{})
	ctx := t.Context()
	close(w.hold)
	await(t, "packets", func() bool {
		s, err := c.Stats(ctx)
		return err == nil && s.Total.DroppedBy["filter"] > 0
	})
	status, err := c.Status(ctx)
	if err != nil || status.State != control.Running || !status.Driver.Open || status.Driver.Name != "sim" || status.Policy.Path != w.path ||
		status.Policy.Filters != 2 || status.Policy.Callouts != 1 || status.Policy.Handles != 1 || status.Process.Goroutines == 0 {
		t.Errorf("%v, %+v", err, status)
	}
	stats, err := c.Stats(ctx)
	if err != nil || len(stats.Handles) != 1 || stats.Handles[0].Filter != "true" || stats.Batches.Count == 0 || stats.Filters[0].Blocked == 0 {
		t.Errorf("%v, %+v", err, stats)
	}
	for _, b := range []control.Books{stats.Total, stats.Handles[0].Books} {
		if b.Received != b.Passed+b.Dropped+b.Held+b.InBatch {
			t.Errorf("%+v", b)
		}
	}
	filters, err := c.Filters(ctx)
	if err != nil || filters.Filters[0].When != "udp.DstPort == 53" || filters.Filters[0].Action != "block" || filters.Filters[1].Callout != "seen" {
		t.Errorf("%v, %+v", err, filters)
	}
	flows, err := c.Flows(ctx, control.FlowQuery{Limit: 5, Match: "udp "})
	if err != nil || len(flows.Flows) != 5 || flows.Total < 5 || flows.Flows[0].Bytes < flows.Flows[4].Bytes || flows.Flows[0].Packets == 0 {
		t.Errorf("%v, %+v", err, flows)
	}
	if r, err := c.Reload(ctx); err != nil || !r.Applied {
		t.Errorf("%v, %+v", err, r)
	}
	if _, err := c.Pause(ctx); err == nil || !strings.Contains(err.Error(), "cannot be paused") {
		t.Errorf("%v", err)
	}
}

// An explanation is that of a packet whose flow is new, and counts nothing.
func TestControlExplain(t *testing.T) {
	w := newWorld(t, startPolicy).opened()
	c := w.console(&Console{})
	packet, err := base64.StdEncoding.DecodeString("RQAAIAAAQABAEQAACgAAAQoAAAITiAA1AAwAAAECAwQ=") // to port 53
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		x, err := c.Explain(t.Context(), control.ExplainRequest{Packet: packet, Outbound: true})
		if err != nil || x.Verdict != "drop" || !strings.Contains(x.Decided, `"dns"`) || !strings.HasPrefix(x.Flow, "closed") && !strings.HasPrefix(x.Flow, "established") {
			t.Errorf("%v, %+v", err, x)
		}
	}
	if n := w.s.ControlStats().Total.Received; n != 0 {
		t.Errorf("%d packets received", n)
	}
	close(w.hold)
}

// Live packets are explained and recorded for those who ask, and the processor is left alone when they go.
func TestControlTrace(t *testing.T) {
	w := newWorld(t, startPolicy).opened()
	c := w.console(&Console{})
	close(w.hold)
	n := 0
	err := c.Trace(t.Context(), control.TraceQuery{Filter: "udp.DstPort == 53", Verdict: "drop", Count: 3}, func(x *control.Trace) error {
		if n++; x.Verdict != "drop" || !strings.Contains(x.Decided, `"dns"`) || len(x.Layers) == 0 {
			t.Errorf("%+v", x)
		}
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	var b strings.Builder
	if err := c.Dump(t.Context(), control.TraceQuery{Filter: "udp", Verdict: "drop", Count: 5}, &b); err != nil || strings.Count(b.String(), `by filter "dns"`) != 5 {
		t.Errorf("%v, %d bytes", err, b.Len())
	}
	for _, q := range []control.TraceQuery{{Filter: "udp.DstPrt == 53"}, {Verdict: "perhaps"}} {
		if err := c.Trace(t.Context(), q, func(*control.Trace) error { return nil }); err == nil {
			t.Errorf("%+v is taken", q)
		}
	}
	await(t, "the end of subscriptions", func() bool { return w.s.watchers.subscribers() == 0 })
}

// There are only so many subscriptions; one that ends makes room.
func TestControlSubscriptions(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	var feeds []*control.Feed[*control.Trace]
	for range control.SubscriptionsMax {
		f, err := w.s.Trace(control.TraceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		feeds = append(feeds, f)
	}
	if _, err := w.s.Trace(control.TraceQuery{}); err == nil {
		t.Error("one more is taken")
	}
	// Nobody listens: packets do not wait for that.
	before := w.s.ControlStats().Total.Received
	await(t, "packets", func() bool { return w.s.ControlStats().Total.Received > before+10*control.TraceQueue })
	for _, f := range feeds {
		f.Close()
	}
	if f, err := w.s.Trace(control.TraceQuery{}); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

// Drops are logged while somebody wants that, and not too many.
func TestVerdictLog(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	if err := w.s.SetLogLevel(control.LogLevel{Component: logVerdict, Level: "debug"}); err != nil {
		t.Fatal(err)
	}
	await(t, "a drop in the log", func() bool { return w.count(evDropped) > verdictsPerSec })
	if err := w.s.SetLogLevel(control.LogLevel{Component: logVerdict, Level: "info"}); err != nil {
		t.Fatal(err)
	}
	for _, l := range []control.LogLevel{{Component: "verdict", Level: "loud"}, {Component: "wind", Level: "info"}} {
		if err := w.s.SetLogLevel(l); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

// A file that is written is read when it is written to its end, by whatever means; signals do the same.
func TestWatchAndSignals(t *testing.T) {
	w := newWorld(t, startPolicy).opened()
	signals := make(chan os.Signal, 1)
	w.console(&Console{Watch: 10 * time.Millisecond, Reload: signals})
	close(w.hold)
	w.write(strings.Replace(startPolicy, "== 53", "== 54", 1))
	await(t, "a reload", func() bool { return w.s.reloads.get().Applied == 1 })
	other := w.path + ".new"
	if err := os.WriteFile(other, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, w.path); err != nil {
		t.Fatal(err)
	}
	await(t, "a refusal", func() bool { return w.s.reloads.get().Refused == 1 })
	if r := w.s.reloads.get(); r.Last.By != ByFile || len(r.Last.Problems) != 1 {
		t.Errorf("%+v", r.Last)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	await(t, "a word on the missing file", func() bool { return w.count(evWatchFailed) == 1 })
	w.write(startPolicy)
	await(t, "a reload", func() bool { return w.s.reloads.get().Applied == 2 })
	signals <- syscall.SIGHUP
	await(t, "a reload", func() bool { return w.s.reloads.get().Applied == 3 })
	if r := w.s.reloads.get(); r.Last.By != BySignal {
		t.Errorf("%+v", r.Last)
	}
}

// The service manager is told when packets flow, of reloads, and of the end.
func TestNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sd_notify on Windows")
	}
	path := socketPath(t)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	w := newWorld(t, startPolicy).opened()
	signals := make(chan os.Signal, 1)
	w.console(&Console{Reload: signals})
	next := func(want string) {
		t.Helper()
		b := make([]byte, 1000)
		for {
			_ = l.SetReadDeadline(time.Now().Add(patience))
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			got := string(b[:n])
			if strings.HasPrefix(got, want) {
				return
			}
			if got != notifyAlive {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	next(notifyAlive)
	close(w.hold)
	next(notifyReady)
	signals <- syscall.SIGHUP
	next("RELOADING=1\nMONOTONIC_USEC=")
	next(notifyReady)
	w.end()
	next(notifyStopping)
}

// A PID file is whole, is another's while that runs, and goes with its process.
func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	f, err := WritePIDFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := readPID(path); err != nil || pid != os.Getpid() {
		t.Errorf("%d, %v", pid, err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	for text, taken := range map[string]bool{"1\n": runtime.GOOS != "windows", "999999999\n": false, "what": false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := WritePIDFile(path)
		if (err != nil) != taken {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil {
			_ = f.Remove()
		}
	}
	if _, err := WritePIDFile(filepath.Join(path, "none", "pid")); err == nil {
		t.Error("a file in no folder")
	}
}

// What a console cannot have is said, and nothing is left of the rest.
func TestConsoleRefused(t *testing.T) {
	w := newWorld(t, startPolicy).opened()
	defer close(w.hold)
	taken := socketPath(t)
	l, err := control.Listen(taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	pid := filepath.Join(t.TempDir(), "pid")
	for name, c := range map[string]*Console{
		"socket":  {Control: taken, PIDFile: pid},
		"token":   {Control: socketPath(t), TCP: "127.0.0.1:0", Token: "short", PIDFile: pid},
		"address": {Control: socketPath(t), TCP: ":0", Token: "long enough for a token", PIDFile: pid},
		"metrics": {Control: socketPath(t), Metrics: "0.0.0.0:0", PIDFile: pid},
	} {
		if end, err := c.Start(w.s); err == nil {
			end()
			t.Errorf("%s: it started", name)
		}
		if _, err := os.Stat(pid); err == nil {
			t.Errorf("%s: the PID file is left", name)
		}
	}
	end, err := (&Console{Control: taken, Optional: true, TCP: "127.0.0.1:0", Token: "long enough for a token", Metrics: "127.0.0.1:0"}).Start(w.s)
	if err != nil {
		t.Fatal(err)
	}
	end()
	if w.count(evControlAbsent) != 1 || w.count(evControlOpen) == 0 {
		t.Errorf("%v", w.logged.All())
	}
}

// Levels are read as people write them.
func TestParseLevels(t *testing.T) {
	l, err := ParseLevels("warn,reload=debug, control = error")
	if err != nil {
		t.Fatal(err)
	}
	if all := l.All(); all[logDaemon] != "warn" || all[logReload] != "debug" || all[logControl] != "error" {
		t.Errorf("%v", all)
	}
	for _, text := range []string{"", "loud", "wind=info", "info,", "reload=", "fatal"} {
		if _, err := ParseLevels(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
