package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a daemon whose counts grow by a law with the number of looks at it.
type fake struct {
	n       int
	asked   control.FlowQuery
	explain control.ExplainRequest
	err     error
	hostile string // what every name is
}

var start = time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)

func (f *fake) name(s string) string {
	if f.hostile != "" {
		return f.hostile
	}
	return s
}

func (f *fake) Status(context.Context) (control.Status, error) {
	f.n++
	return control.Status{
		PID: 4711, State: control.Running, UptimeNS: int64(f.n) * 1e9, Driver: control.DriverStatus{Name: f.name("nfqueue"), Open: true},
		Policy: control.PolicyStatus{Path: "/etc/weir/" + f.name("policy.yaml")}, Reloads: control.Reloads{Applied: 2},
		Process: control.Process{HeapBytes: 24_500_000},
	}, f.err
}

// wave is a count whose rate goes up and down.
func (f *fake) wave(times uint64) uint64 {
	sum := uint64(0)
	for i := range f.n {
		sum += times * uint64(100+(i*i*7)%900)
	}
	return sum
}

func (f *fake) Stats(context.Context) (control.Stats, error) {
	queued := uint64(f.n % 3)
	n := f.wave(1)
	return control.Stats{
		At: start.Add(time.Duration(f.n) * time.Second), UptimeNS: int64(f.n) * 1e9,
		Total: control.Books{
			Received: n, Passed: n - n/10, Dropped: n / 10, Held: 2, Injected: 12, Completed: 12, Lost: 5, BytesReceived: n * 700,
			DroppedBy: map[string]uint64{f.name("filter"): n / 12, f.name("rejected") + "!": n / 60}, LostBy: map[string]uint64{f.name("queue-full"): 5},
		},
		Handles: []control.HandleStats{{ID: 1, Queued: &queued}},
		Flows:   control.FlowTotals{Now: 1234},
		Batches: control.Latency{Count: n, Buckets: []uint64{0, 0, n / 2, n / 4, n / 8, n - n/2 - n/4 - n/8 - n/200, n / 200, 0}},
	}, f.err
}

func (f *fake) Filters(context.Context) (all control.Filters, err error) {
	for i, name := range []string{"no-telnet", "no-8080", "names-are-free", "slow-ping", "count-in", "count-out", "quarantine"} {
		n := f.wave(uint64(i)) / 10
		one := control.Filter{
			FilterStats: control.FilterStats{Name: f.name(name), Layer: "outbound-transport", Matched: n, Blocked: n / 2, Permitted: n - n/2},
			Sublayer:    "base", Weight: uint64(i), Action: "block", When: f.name("tcp.DstPort == 23"),
		}
		if i%3 == 1 {
			one.Callout, one.Action = "refuse", "callout-unknown"
		}
		all.Filters = append(all.Filters, one)
	}
	return all, f.err
}

func (f *fake) Flows(_ context.Context, q control.FlowQuery) (control.Flows, error) {
	f.asked = q
	all := control.Flows{Total: 1234}
	for i := range 40 {
		flow := control.Flow{
			Protocol: "tcp", Source: f.name(fmt.Sprintf("10.77.0.1:%d", 40000+i)), Destination: "192.0.2.7:443", Outbound: i%4 > 0, State: "established",
			Packets: f.wave(uint64(i)) / 50, Bytes: f.wave(uint64(i)) * 12, AgeNS: int64(i) * 97e9, IdleNS: int64(i) * 13e6,
		}
		if i == 39 {
			flow.Protocol, flow.Source, flow.Destination, flow.Refused = "udp", "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", "[2001:db8::1]:53", "filter"
		}
		all.Flows = append(all.Flows, flow)
	}
	return all, f.err
}

func (f *fake) Explain(_ context.Context, r control.ExplainRequest) (processor.Explanation, error) {
	f.explain = r
	return processor.Explanation{Packet: "outbound tcp", Verdict: "pass"}, f.err
}

func config(f *fake) Config {
	return Config{Source: f, Interval: time.Second, Packet: func(flow control.Flow) (control.ExplainRequest, error) {
		if flow.Protocol == "udp" {
			return control.ExplainRequest{}, errors.New("cannot be made")
		}
		return control.ExplainRequest{Packet: []byte(flow.Source)}, nil
	}}
}

// watched is a screen after some looks.
func watched(f *fake, looks, w, h int) *Model {
	m := New(config(f))
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	for range looks {
		m.Update(ask(context.Background(), f, m.query()))
	}
	return m
}

// press sends keys by their names, and what comes of them, as the terminal's loop does.
func press(m *Model, keys ...string) {
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		for t, name := range map[tea.KeyType]string{
			tea.KeyEnter: "enter", tea.KeyTab: "tab", tea.KeyEsc: "esc", tea.KeyDown: "down", tea.KeyUp: "up", tea.KeyEnd: "end", tea.KeyBackspace: "backspace",
			tea.KeyPgDown: "pgdown", tea.KeySpace: "space",
		} {
			if name == k {
				msg = tea.KeyMsg{Type: t}
				if t == tea.KeySpace {
					msg.Runes = []rune{' '}
				}
			}
		}
		if _, cmd := m.Update(msg); cmd != nil {
			if next := cmd(); next != nil {
				m.Update(next)
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(want), "\r\n", "\n") != got+"\n" {
		t.Errorf("differs from %s (go test ./internal/top -update writes it):\n%s", path, got)
	}
}

// The screens as people see them. A change of one is to be looked at.
func TestScreens(t *testing.T) {
	for _, c := range []struct {
		name  string
		looks int
		w, h  int
		keys  []string
	}{
		{"80x24", 60, 80, 24, nil},
		{"160x50", 60, 160, 50, nil},
		{"first", 1, 80, 24, nil},
		{"filters", 60, 80, 24, []string{"tab", "s", "down", "down", "down", "down"}},
		{"filter", 60, 80, 24, []string{"tab", "enter"}},
		{"ordered", 60, 80, 24, []string{"s", "s", "s", "s", "S", "end"}},
		{"matching", 60, 80, 24, []string{"/", "t", "cp 4"}},
		{"explained", 60, 80, 24, []string{"down", "enter"}},
		{"not explained", 60, 80, 24, []string{"S", "s", "s", "s", "s", "enter"}},
		{"help", 60, 80, 24, []string{"?"}},
		{"small", 60, 40, 10, nil},
		{"too small", 60, 39, 10, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := watched(&fake{}, c.looks, c.w, c.h)
			press(m, c.keys...)
			golden(t, c.name, m.View())
		})
	}
}

// Keys that come together are keys that come one after another; what is pasted is no command.
func TestKeysTogether(t *testing.T) {
	m := watched(&fake{}, 2, 80, 24)
	press(m, "ss/ab c")
	if m.order[paneFlows] != 2 || !m.typing || m.match != "ab c" {
		t.Errorf("order %d, match %q", m.order[paneFlows], m.match)
	}
	press(m, "space", "enter", "backspace")
	if m.typing || m.match != "ab c " {
		t.Errorf("match %q", m.match)
	}
	if _, cmd := m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("sqs"), Paste: true}); cmd != nil && cmd() != nil || m.order[paneFlows] != 2 {
		t.Error("what was pasted is taken for commands")
	}
	press(m, "esc")
	if m.match != "" || m.query().Match != "" {
		t.Errorf("match %q", m.match)
	}
}

// The daemon is asked for what is shown.
func TestQuestions(t *testing.T) {
	f := &fake{}
	m := watched(f, 2, 80, 24)
	for _, want := range []string{control.SortIdle, control.SortIdle, control.SortBytes, control.SortPackets, control.SortAge, control.SortIdle} {
		if m.Update(ask(context.Background(), f, m.query())); f.asked.Sort != want || f.asked.Limit != flowsAsked {
			t.Errorf("asked %+v, want %s", f.asked, want)
		}
		press(m, "s")
	}
	press(m, "down", "enter")
	if len(f.explain.Packet) == 0 || m.overlay == nil || !strings.Contains(m.overlay.body, "verdict: pass") {
		t.Errorf("explained %+v", f.explain)
	}
}

// A daemon that does not answer is told, and what was known stays; one that began anew is counted anew.
func TestDaemonGone(t *testing.T) {
	f := &fake{}
	m := watched(f, 5, 80, 24)
	f.err = errors.New("connection refused")
	m.Update(ask(context.Background(), f, m.query()))
	if v := m.View(); !strings.HasPrefix(v, "no answer: connection refused; asking again") || !strings.Contains(v, "quarantine") {
		t.Error(v)
	}
	f.err, f.n = nil, 0
	m.Update(ask(context.Background(), f, m.query()))
	if m.samples != 1 || len(m.received.points) != 0 || strings.Contains(m.View(), "no answer") {
		t.Errorf("%d samples, %d points", m.samples, len(m.received.points))
	}
}

// Held still, the tables stay as they are, while the rates go on.
func TestHold(t *testing.T) {
	f := &fake{}
	m := watched(f, 5, 80, 24)
	before := m.flows[0].Bytes
	press(m, "space")
	m.Update(ask(context.Background(), f, m.query()))
	if m.flows[0].Bytes != before || len(m.received.points) != 5 {
		t.Errorf("%d bytes, %d points", m.flows[0].Bytes, len(m.received.points))
	}
	if press(m, "space"); m.flows[0].Bytes == before {
		t.Error("it does not go on")
	}
}

func TestOnce(t *testing.T) {
	f := &fake{}
	c := config(f)
	c.Interval = time.Millisecond
	got, err := Once(t.Context(), c, 80, 24)
	if err != nil || got != watched(&fake{}, 2, 80, 24).View()+"\n" {
		t.Errorf("%v\n%s", err, got)
	}
	f.err = errors.New("no")
	if _, err := Once(t.Context(), c, 80, 24); err != f.err {
		t.Errorf("error %v", err)
	}
	if err := Run(t.Context(), c); err != f.err {
		t.Errorf("error %v", err)
	}
}

// Whatever is pressed, however large the screen is, and whatever the daemon calls things: as many lines as it is high, none wider,
// no control characters, and never a panic.
func TestAnyScreen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{hostile: rapid.SampledFrom([]string{"", "", "\x1b[31mred", "a\tb\nc", strings.Repeat("wide 漢字 ", 30), "é\u0301", "\u202e"}).Draw(t, "names")}
		m := watched(f, rapid.IntRange(0, 3).Draw(t, "looks"), 80, 24)
		key := rapid.SampledFrom([]string{
			"enter", "tab", "esc", "down", "up", "end", "backspace", "pgdown", "space", "s", "S", "/", "?", "q", "g", "x", "é", "漢", "ss/abc",
		})
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(0, 200).Draw(t, "w"), Height: rapid.IntRange(0, 70).Draw(t, "h")})
			case 1:
				m.Update(ask(context.Background(), f, m.query()))
			default:
				k := key.Draw(t, "key")
				if k == "q" && m.overlay == nil && !m.typing {
					continue
				}
				press(m, k)
			}
			check(t, m)
		}
	})
}

func check(t *rapid.T, m *Model) {
	view := m.View()
	lines := strings.Split(view, "\n")
	if m.width >= widthMin && m.height >= heightMin && len(lines) != m.height {
		t.Fatalf("%d lines on a screen of %d", len(lines), m.height)
	}
	for _, line := range lines {
		if w := lipgloss.Width(line); w > max(m.width, 1) {
			t.Fatalf("a line of %d on a screen of %d: %q", w, m.width, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Fatalf("control characters: %q", line)
		}
	}
}

func TestFormat(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.04: "0", 0.5: "0.5", 3: "3", 9.94: "9.9", 9.96: "10", 999.4: "999", 999.6: "1.0k", 45_300: "45k", 3.4e6: "3.4M", 1e30: "∞"} {
		if got := short(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		800: "800ns", 16_000: "16µs", 2_100_000: "2.1ms", 45 * time.Second: "45s", 125 * time.Second: "2m05", 185 * time.Minute: "3h05", 99 * time.Hour: "4d03", 1<<63 - 1: "long",
	} {
		if got := brief(d); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
	if got := strings.Join(spark([]float64{0, 1, 2, 4, 8}, 6, 2), "|"); got != "     █|  ▂▄██" {
		t.Errorf("spark %q", got)
	}
}
