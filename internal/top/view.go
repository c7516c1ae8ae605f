package top

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/weirnet/weir/internal/control"
)

// The least that the screen is drawn at.
const (
	widthMin  = 40
	heightMin = 10
)

// View implements tea.Model: exactly as many lines as the screen is high, none wider than it is.
func (m *Model) View() string {
	w, h := m.width, m.height
	if w < widthMin || h < heightMin {
		return fit(fmt.Sprintf("at least %d×%d", widthMin, heightMin), max(w, 1))
	}
	var lines []string
	if m.overlay != nil {
		lines = m.overlay.view(w, h)
	} else {
		lines = m.screen(w, h)
	}
	for i := range lines {
		lines[i] = strings.TrimRight(fit(lines[i], w), " ")
	}
	return strings.Join(lines, "\n")
}

// screen draws the parts from top to bottom; the tables share what is left.
func (m *Model) screen(w, h int) []string {
	lines := append([]string{m.head(w)}, m.gauges(w, h)...)
	lines = append(lines, m.totals(w))
	left := h - len(lines) - 1 // the last line is the keys'
	filters := max(3, min(len(m.filters)+3, left*2/5))
	lines = append(lines, m.upper(w, filters)...)
	lines = append(lines, m.flowTable(w, left-filters)...)
	return append(lines, m.foot(w))
}

// head says what runs.
func (m *Model) head(w int) string {
	s := &m.now.status
	if m.problem != nil {
		return alarm.Render(fit("no answer: "+clean(m.problem.Error())+"; asking again", w))
	}
	policy := clean(filepath.Base(s.Policy.Path))
	if s.Policy.Path == "" {
		policy = "a filter"
	}
	state := clean(s.State)
	if s.State != control.Running || !s.Driver.Open {
		if !s.Driver.Open && s.Driver.Error != "" {
			state += ", driver: " + clean(s.Driver.Error)
		}
		state = alarm.Render(state)
	}
	text := fmt.Sprintf("%s %s  %s  %s  %s", bold.Render("weir"), state, brief(time.Duration(s.UptimeNS)), clean(s.Driver.Name), policy)
	if n := s.Reloads.Applied; n > 0 {
		text += fmt.Sprintf(" (reloaded %d×)", n)
	}
	if m.frozen {
		text += "  " + alarm.Render("held still")
	}
	end := fmt.Sprintf("pid %d  heap %sB  %s", s.PID, short(float64(s.Process.HeapBytes)), m.now.stats.At.Format("15:04:05"))
	if lipgloss.Width(text)+2+lipgloss.Width(end) > w {
		return text
	}
	return text + right(faint.Render(end), w-lipgloss.Width(text))
}

// gauge is a number with its last minutes.
type gauge struct {
	label, value string
	s            *series
	bad          bool
}

func (m *Model) list() []gauge {
	since := m.now.stats.Batches.Since(&m.before.stats.Batches)
	latency := "–"
	if m.samples > 1 && since.Count > 0 {
		latency = brief(since.Quantile(0.5)) + " " + brief(since.Quantile(0.99))
	}
	return []gauge{
		{"received", short(m.received.now()) + "/s", &m.received, false},
		{"bytes", short(m.bytes.now()) + "B/s", &m.bytes, false},
		{"passed", short(m.passed.now()) + "/s", &m.passed, false},
		{"dropped", short(m.dropped.now()) + "/s", &m.dropped, m.dropped.now() > 0},
		{"latency", latency, &m.latency, false},
		{"waiting", short(m.waiting.now()), &m.waiting, false},
	}
}

// gauges draws them: two in a line, or with room three in a row, each a few lines high.
func (m *Model) gauges(w, h int) (lines []string) {
	columns, rows := 2, 1
	if w >= 120 {
		columns = 3
	}
	if h >= 36 {
		rows = 4
	}
	all := m.list()
	wide := (w - 2*(columns-1)) / columns
	for at := 0; at < len(all); at += columns {
		block := make([]string, rows)
		for i, g := range all[at:min(at+columns, len(all))] {
			for row, line := range g.view(wide, rows) {
				if i > 0 {
					block[row] += "  "
				}
				block[row] += line
			}
		}
		lines = append(lines, block...)
	}
	return lines
}

func (g *gauge) view(w, rows int) []string {
	const label, value = 9, 13
	plot := spark(g.s.points, max(0, w-label-value-1), rows)
	style := drawing
	if g.bad {
		style = alarm
	}
	lines := make([]string, rows)
	for row := range rows {
		head := strings.Repeat(" ", label+value+1)
		if row == rows-1 {
			head = faint.Render(fit(g.label, label)) + bold.Render(right(g.value, value)) + " "
		}
		lines[row] = head + style.Render(plot[row])
	}
	return lines
}

// totals are the books in one line.
func (m *Model) totals(w int) string {
	t := &m.now.stats.Total
	part := func(name string, n uint64, bad bool) string {
		s := name + " " + thousands(n)
		if bad && n > 0 {
			return alarm.Render(s)
		}
		return s
	}
	parts := []string{
		part("flows", m.now.stats.Flows.Now, false), part("held", t.Held, false), part("lost", t.Lost, true),
		part("dropped", t.Dropped, false), part("injected", t.Injected, false), part("failed", t.Failed, true), part("received", t.Received, false),
		part("passed", t.Passed, false),
	}
	line := ""
	for i, p := range parts {
		if i > 0 {
			p = " · " + p
		}
		if lipgloss.Width(line)+lipgloss.Width(p) > w {
			break
		}
		line += p
	}
	return line
}

// foot names the keys, or what is typed.
func (m *Model) foot(w int) string {
	switch {
	case m.typing:
		return bold.Render("flows with: ") + m.match + chosen.Render(" ") + faint.Render("  enter takes it, esc clears it")
	case m.match != "":
		return faint.Render(fit(fmt.Sprintf("flows with %q, esc shows all · s order · enter explain · ? keys · q end", m.match), w))
	}
	return faint.Render(fit("tab table · s S order · / match · enter explain · space hold · ? keys · q end", w))
}

// view draws a text.
func (t *text) view(w, h int) []string {
	lines, all := []string{bold.Render(fit(t.title, w)), ""}, t.lines(w)
	for i := range h - 3 {
		line := ""
		if at := t.top + i; at < len(all) {
			line = all[at]
		}
		lines = append(lines, line)
	}
	more := ""
	if left := len(all) - t.top - (h - 3); left > 0 {
		more = fmt.Sprintf("%d more lines below · ", left)
	}
	return append(lines, faint.Render(more+"up down scroll · esc back"))
}
