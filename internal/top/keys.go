package top

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"
)

// matchMax bounds the match, in characters.
const matchMax = 100

// keys does what keys mean in their order: those that came together, faster than they were read, are one message. What is pasted is
// no command.
func (m *Model) keys(k tea.KeyMsg) tea.Cmd {
	if k.Type != tea.KeyRunes || len(k.Runes) < 2 || m.typing && k.Paste {
		return m.key(k)
	}
	var all []tea.Cmd
	for _, r := range k.Runes {
		if !k.Paste {
			all = append(all, m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}}))
		}
	}
	return tea.Batch(all...)
}

// key does what a key means where it is pressed.
func (m *Model) key(k tea.KeyMsg) tea.Cmd {
	switch {
	case k.Type == tea.KeyCtrlC:
		return tea.Quit
	case m.typing:
		m.typed(k)
	case m.overlay != nil:
		m.scroll(k.String())
	default:
		return m.command(k.String())
	}
	return nil
}

// command is a key of the screen itself.
func (m *Model) command(k string) tea.Cmd {
	switch k {
	case "q":
		return tea.Quit
	case "?", "h":
		m.read("Keys", keyHelp)
	case "tab", "shift+tab":
		m.focus = (m.focus + 1) % panes
	case "s":
		m.nextOrder()
	case "S", "r":
		m.reverse[m.focus] = !m.reverse[m.focus]
		m.sort()
	case "/":
		m.typing, m.focus = true, paneFlows
	case "esc":
		m.match = ""
	case " ":
		if m.frozen = !m.frozen; !m.frozen {
			m.rows()
		}
	case "enter", "e":
		return m.open()
	default:
		m.move(k)
	}
	return nil
}

func (m *Model) nextOrder() {
	orders := len(flowOrders)
	if m.focus == paneFilters {
		orders = len(filterOrders)
	}
	m.order[m.focus] = (m.order[m.focus] + 1) % orders
	m.reverse[m.focus] = false
	m.rows()
}

// step is how far a key moves; 0: not at all.
func step(k string, page, all int) int {
	switch k {
	case "up", "k":
		return -1
	case "down", "j":
		return 1
	case "pgup", "ctrl+b":
		return -page
	case "pgdown", "ctrl+f":
		return page
	case "home", "g":
		return -all
	case "end", "G":
		return all
	}
	return 0
}

func (m *Model) move(k string) {
	n := m.length(m.focus)
	m.selected[m.focus] = max(0, min(m.selected[m.focus]+step(k, max(1, m.height/3), n), n-1))
}

// typed is a key of the match.
func (m *Model) typed(k tea.KeyMsg) {
	switch k.Type {
	case tea.KeyEnter:
		m.typing = false
	case tea.KeyEsc:
		m.typing, m.match = false, ""
	case tea.KeyBackspace:
		if r := []rune(m.match); len(r) > 0 {
			m.match = string(r[:len(r)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		for _, r := range k.Runes {
			if unicode.IsPrint(r) && len([]rune(m.match)) < matchMax {
				m.match += string(r)
			}
		}
	}
}

// read shows a text instead of the screen.
func (m *Model) read(title, body string) {
	lines := strings.Split(strings.TrimRight(body, "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	m.overlay = &text{title: clean(title), body: strings.Join(lines, "\n")}
}

// scroll is a key of a text.
func (m *Model) scroll(k string) {
	t := m.overlay
	switch k {
	case "q", "esc", "enter", "?":
		m.overlay = nil
	default:
		page, all := max(1, m.height-3), len(t.lines(max(m.width, widthMin)))
		t.top = max(0, min(t.top+step(k, page, all), all-page))
	}
}

// open explains the selected flow, or tells all of the selected filter.
func (m *Model) open() tea.Cmd {
	i := m.selected[m.focus]
	switch {
	case m.focus == paneFilters && i < len(m.filters):
		f := &m.filters[i]
		m.read("Filter "+f.Name, f.text())
	case m.focus == paneFlows && i < len(m.flows):
		return m.explain(&m.flows[i])
	}
	return nil
}

// explain asks what the policy in force says to a packet of the flow.
func (m *Model) explain(f *flowRow) tea.Cmd {
	title := "Why: " + flowKey(&f.Flow)
	request, err := m.c.Packet(f.Flow)
	if err != nil {
		m.read(title, err.Error())
		return nil
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), askFor)
		defer cancel()
		x, err := m.c.Source.Explain(ctx, request)
		return explained{title: title, body: explainHead + x.String(), err: err}
	}
}

const explainHead = "What the policy in force says to a packet like its first one.\n\n"

// text is all of a filter.
func (f *filterRow) text() string {
	var b strings.Builder
	for _, kv := range [][2]string{
		{"layer", f.Layer}, {"sublayer", f.Sublayer}, {"weight", fmt.Sprint(f.Weight)}, {"action", f.Action}, {"callout", f.Callout}, {"when", f.When},
	} {
		if kv[1] != "" {
			fmt.Fprintf(&b, "%-10s %s\n", kv[0], strings.ReplaceAll(strings.TrimSpace(kv[1]), "\n", "\n           "))
		}
	}
	fmt.Fprintf(&b, "\n%-10s %s, %s/s\n", "matched", thousands(f.Matched), short(f.matchRate))
	fmt.Fprintf(&b, "%-10s %s\n", "permitted", thousands(f.Permitted))
	fmt.Fprintf(&b, "%-10s %s, %s/s\n", "blocked", thousands(f.Blocked), short(f.blockRate))
	if f.Vetoes > 0 {
		fmt.Fprintf(&b, "%-10s %s\n", "vetoes", thousands(f.Vetoes))
	}
	return b.String()
}

const keyHelp = `tab              to the other table
up down k j      to the row above or below; pgup pgdn home end
s                next order of the table; S the other way round
/                only flows with this text in "PROTOCOL SOURCE > DESTINATION STATE"; enter takes it, esc clears it
enter            a flow: why the policy passes its packets or not; a filter: all of it
space            hold the tables still; again: go on
q                end

received, passed, dropped   packets in a second, with the last minutes
latency          of batches, from receiving to completing: half of them, and 99 of 100, took less
waiting          packets in the driver's queues, where it tells, held by callouts, and in batches
lost             dropped by the driver before weir received them`
