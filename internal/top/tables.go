package top

import (
	"fmt"
	"strings"
	"time"
)

// column of a table: the widest that it gets, or what the others leave it.
type column struct {
	head string
	w    int // 0: what is left
	num  bool
}

// table draws a title, the heads, and as many rows as fit into h lines, the selected one in sight.
func (m *Model) table(p pane, title string, columns []column, w, h int, row func(i int) []string) []string {
	n := m.length(p)
	room := max(0, h-2)
	if m.selected[p] < m.first[p] {
		m.first[p] = m.selected[p]
	}
	if m.selected[p] >= m.first[p]+room {
		m.first[p] = m.selected[p] - room + 1
	}
	m.first[p] = max(0, min(m.first[p], n-room))
	lines := []string{rule(title, w, m.focus == p), bold.Render(" " + join(columns, nil, w-1))}
	for i := m.first[p]; i < n && len(lines) < h; i++ {
		line := " " + join(columns, row(i), w-1)
		if i == m.selected[p] && m.focus == p { // by a sign too: not every terminal has colours
			line = chosen.Render("›" + line[1:])
		}
		lines = append(lines, line)
	}
	for len(lines) < h {
		lines = append(lines, "")
	}
	return lines[:h]
}

// rule is a line with a title in it.
func rule(title string, w int, focused bool) string {
	line := "── " + title + " "
	line += strings.Repeat("─", max(0, w-len([]rune(line))))
	if focused {
		return bold.Render(fit(line, w))
	}
	return faint.Render(fit(line, w))
}

// join puts cells into columns; nil: the heads.
func join(columns []column, cells []string, w int) string {
	left := w
	for _, c := range columns {
		left -= c.w + 1
	}
	var b strings.Builder
	for i, c := range columns {
		text, wide := c.head, c.w
		if cells != nil {
			text = clean(cells[i])
		}
		if wide == 0 {
			wide = max(left+1, 8)
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		if c.num {
			b.WriteString(right(text, wide))
		} else {
			b.WriteString(fit(text, wide))
		}
	}
	return fit(b.String(), w)
}

// widthCauses is that of the table of causes, which stands beside the filters where there is room.
const (
	widthWide   = 120
	widthCauses = 44
)

// upper draws the filters, and the causes beside them or above.
func (m *Model) upper(w, h int) []string {
	if w < widthWide {
		return append(m.filterTable(w, h-1), m.causeLine(w))
	}
	lines := m.filterTable(w-widthCauses-2, h)
	causes := m.causeTable(widthCauses, h)
	for i := range lines {
		lines[i] = fit(lines[i], w-widthCauses-2) + "  " + causes[i]
	}
	return lines
}

func (m *Model) filterTable(w, h int) []string {
	columns := []column{{"FILTER", 0, false}, {"LAYER", 20, false}, {"ACTION", 9, false}, {"MATCH/s", 7, true}, {"BLOCK/s", 7, true}, {"MATCHED", 9, true}}
	if w >= 110 {
		columns = append(columns, column{"PERMITTED", 11, true}, column{"BLOCKED", 11, true})
	}
	title := fmt.Sprintf("%s filters by %s%s", thousands(uint64(len(m.filters))), filterOrders[m.order[paneFilters]].name, m.turned(paneFilters))
	return m.table(paneFilters, title, columns, w, h, func(i int) []string {
		f := &m.filters[i]
		action := f.Action
		if f.Callout != "" {
			action = f.Callout
		}
		return []string{
			f.Name, f.Layer, action, short(f.matchRate), short(f.blockRate), short(float64(f.Matched)), thousands(f.Permitted), thousands(f.Blocked),
		}[:len(columns)]
	})
}

// causeLine is the drops by cause in a line.
func (m *Model) causeLine(w int) string {
	line := faint.Render("drops by cause:")
	for i, c := range m.causes {
		text := fmt.Sprintf(" %s %s/s (%s)", c.label(), short(c.rate), short(float64(c.total)))
		if i > 0 {
			text = " ·" + text
		}
		if c.lost && c.rate > 0 {
			text = alarm.Render(text)
		}
		line += text
	}
	if len(m.causes) == 0 {
		line += " none"
	}
	return fit(line, w)
}

func (c *causeRow) label() string {
	if c.lost {
		return "lost: " + clean(c.name)
	}
	return clean(c.name)
}

func (m *Model) causeTable(w, h int) []string {
	columns := []column{{"CAUSE", 0, false}, {"DROP/s", 7, true}, {"DROPPED", 13, true}}
	lines := []string{rule("drops by cause", w, false), bold.Render(join(columns, nil, w))}
	for i := range m.causes {
		c := &m.causes[i]
		line := join(columns, []string{c.label(), short(c.rate), thousands(c.total)}, w)
		if c.lost && c.rate > 0 {
			line = alarm.Render(line)
		}
		lines = append(lines, line)
	}
	for len(lines) < h {
		lines = append(lines, "")
	}
	return lines[:h]
}

func (m *Model) flowTable(w, h int) []string {
	columns := []column{{"PROTO", 6, false}, {"SOURCE > DESTINATION", 0, false}, {"STATE", 11, false}, {"PKT/s", 5, true}, {"B/s", 5, true}, {"BYTES", 5, true}, {"AGE", 6, true}}
	if w >= widthWide {
		columns = append(columns, column{"PACKETS", 11, true}, column{"IDLE", 6, true}, column{"WAITING", 7, true}, column{"REFUSED", 14, false})
	}
	title := fmt.Sprintf("%s of %s flows by %s%s", thousands(uint64(len(m.flows))), thousands(m.now.flows.Total), flowOrders[m.order[paneFlows]].name, m.turned(paneFlows))
	return m.table(paneFlows, title, columns, w, h, func(i int) []string {
		f := &m.flows[i]
		arrow, state := " > ", f.State
		if !f.Outbound {
			arrow = " » "
		}
		if f.Refused != "" && w < widthWide {
			state = "refused"
		}
		return []string{
			f.Protocol, f.Source + arrow + f.Destination, state, short(f.packetRate), short(f.byteRate), short(float64(f.Bytes)), brief(time.Duration(f.AgeNS)),
			thousands(f.Packets), brief(time.Duration(f.IdleNS).Truncate(time.Millisecond)), fmt.Sprint(f.Waiting), f.Refused,
		}[:len(columns)]
	})
}

func (m *Model) turned(p pane) string {
	if m.reverse[p] {
		return ", the least first"
	}
	return ""
}
