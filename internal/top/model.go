package top

import (
	"context"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/weirnet/weir/internal/control"
)

// pane is a part of the screen that can be moved in.
type pane int

const (
	paneFilters pane = iota
	paneFlows
	panes
)

// Model is the screen.
type Model struct {
	c             Config
	width, height int

	now, before sample // the newest, and the one that rates are counted from
	samples     int    // that were taken since the daemon started
	problem     error  // why the newest could not be had
	frozen      bool   // what is shown stays, while samples go on

	received, bytes, passed, dropped, latency, waiting series

	filters []filterRow
	flows   []flowRow
	causes  []causeRow

	focus    pane
	order    [panes]int  // index of the order, of filterOrders or flowOrders
	reverse  [panes]bool // the least first
	selected [panes]int
	first    [panes]int // the first row that is shown

	match   string // part of the flows that are shown
	typing  bool   // the match is being typed
	overlay *text  // shown instead of the screen; nil: none
}

// text is something to be read.
type text struct {
	title, body string
	top         int
}

// lines are those of the body, none wider than w.
func (t *text) lines(w int) []string { return strings.Split(ansi.Wrap(t.body, w, ""), "\n") }

// New returns a screen without content, of 80 by 24 characters until it is told otherwise.
func New(c Config) *Model {
	return &Model{c: c, width: 80, height: 24, focus: paneFlows, match: c.Match}
}

// query asks for the flows that the screen needs.
func (m *Model) query() control.FlowQuery {
	return control.FlowQuery{Sort: flowOrders[m.order[paneFlows]].ask, Limit: flowsAsked, Match: m.match}
}

// Messages beside those of the terminal.
type (
	tick      struct{}
	explained struct {
		title, body string
		err         error
	}
)

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return m.wait() }

func (m *Model) wait() tea.Cmd {
	return tea.Tick(max(m.c.Interval, IntervalMin), func(time.Time) tea.Msg { return tick{} })
}

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		q := m.query()
		return m, func() tea.Msg { return ask(context.Background(), m.c.Source, q) }
	case sample:
		m.take(msg)
		return m, m.wait()
	case explained:
		if msg.err != nil {
			msg.body = msg.err.Error()
		}
		m.read(msg.title, msg.body)
	case tea.KeyMsg:
		return m, m.keys(msg)
	}
	return m, nil
}

// take takes a round of answers, or that there was none.
func (m *Model) take(s sample) {
	if m.problem = s.err; s.err != nil {
		return
	}
	if m.samples > 0 && (s.stats.UptimeNS < m.now.stats.UptimeNS || s.status.PID != m.now.status.PID) {
		m.forget() // another daemon
	}
	m.before, m.now = m.now, s
	m.samples++
	if m.samples > 1 {
		m.count()
	}
	if !m.frozen {
		m.rows()
	}
}

// forget begins anew.
func (m *Model) forget() {
	m.samples = 0
	m.received, m.bytes, m.passed, m.dropped, m.latency, m.waiting = series{}, series{}, series{}, series{}, series{}, series{}
}

// took is the time between the two samples.
func (m *Model) took() time.Duration {
	if m.samples < 2 {
		return 0
	}
	return time.Duration(m.now.stats.UptimeNS - m.before.stats.UptimeNS)
}

// count adds a point to each series.
func (m *Model) count() {
	a, b, took := &m.before.stats, &m.now.stats, m.took()
	m.received.add(rate(a.Total.Received, b.Total.Received, took))
	m.bytes.add(rate(a.Total.BytesReceived, b.Total.BytesReceived, took))
	m.passed.add(rate(a.Total.Passed, b.Total.Passed, took))
	m.dropped.add(rate(a.Total.Dropped, b.Total.Dropped, took))
	since := b.Batches.Since(&a.Batches)
	m.latency.add(float64(since.Quantile(0.99)))
	m.waiting.add(float64(waits(b)))
}

// waits is how many packets wait: in the driver's queues, where it tells, and held.
func waits(s *control.Stats) uint64 {
	n := s.Total.Held + s.Total.InBatch
	for _, h := range s.Handles {
		if h.Queued != nil {
			n += *h.Queued
		}
	}
	return n
}

var (
	bold    = lipgloss.NewStyle().Bold(true)
	faint   = lipgloss.NewStyle().Faint(true)
	alarm   = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
	chosen  = lipgloss.NewStyle().Reverse(true)
	drawing = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))
)
