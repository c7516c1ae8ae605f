package top

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weirnet/weir/internal/control"
)

// flowOrders are the orders of flows. A rate is found by asking for those that spoke last, twice.
var flowOrders = []struct {
	name, ask string
	less      func(a, b *flowRow) int // the greatest first
}{
	{"bytes/s", control.SortIdle, func(a, b *flowRow) int { return cmp.Compare(b.byteRate, a.byteRate) }},
	{"packets/s", control.SortIdle, func(a, b *flowRow) int { return cmp.Compare(b.packetRate, a.packetRate) }},
	{"bytes", control.SortBytes, func(a, b *flowRow) int { return cmp.Compare(b.Bytes, a.Bytes) }},
	{"packets", control.SortPackets, func(a, b *flowRow) int { return cmp.Compare(b.Packets, a.Packets) }},
	{"age", control.SortAge, func(a, b *flowRow) int { return cmp.Compare(b.AgeNS, a.AgeNS) }},
	{"idle", control.SortIdle, func(a, b *flowRow) int { return cmp.Compare(a.IdleNS, b.IdleNS) }},
}

// filterOrders are those of filters; the last is that of the policy.
var filterOrders = []struct {
	name string
	less func(a, b *filterRow) int
}{
	{"matched/s", func(a, b *filterRow) int { return cmp.Compare(b.matchRate, a.matchRate) }},
	{"blocked/s", func(a, b *filterRow) int { return cmp.Compare(b.blockRate, a.blockRate) }},
	{"matched", func(a, b *filterRow) int { return cmp.Compare(b.Matched, a.Matched) }},
	{"blocked", func(a, b *filterRow) int { return cmp.Compare(b.Blocked, a.Blocked) }},
	{"policy", func(*filterRow, *filterRow) int { return 0 }},
}

// rows makes the tables of the newest samples. What was selected stays selected while it is there.
func (m *Model) rows() {
	flow, filter := "", ""
	if i := m.selected[paneFlows]; i < len(m.flows) {
		flow = flowKey(&m.flows[i].Flow)
	}
	if i := m.selected[paneFilters]; i < len(m.filters) {
		filter = m.filters[i].Name
	}
	m.flowRows()
	m.filterRows()
	m.causeRows()
	m.sort()
	if i := slices.IndexFunc(m.flows, func(r flowRow) bool { return flowKey(&r.Flow) == flow }); i >= 0 && m.focus == paneFlows && m.selected[paneFlows] > 0 {
		m.selected[paneFlows] = i
	}
	if i := slices.IndexFunc(m.filters, func(r filterRow) bool { return r.Name == filter }); i >= 0 && m.selected[paneFilters] > 0 {
		m.selected[paneFilters] = i
	}
}

func (m *Model) flowRows() {
	before := map[string]*control.Flow{}
	for i := range m.before.flows.Flows {
		f := &m.before.flows.Flows[i]
		before[flowKey(f)] = f
	}
	m.flows = m.flows[:0]
	for _, f := range m.now.flows.Flows {
		r := flowRow{Flow: f}
		if old := before[flowKey(&f)]; old != nil {
			r.packetRate, r.byteRate = rate(old.Packets, f.Packets, m.took()), rate(old.Bytes, f.Bytes, m.took())
		} else if took := m.took(); took > 0 && f.AgeNS <= took.Nanoseconds() { // it began since
			r.packetRate, r.byteRate = rate(0, f.Packets, took), rate(0, f.Bytes, took)
		}
		m.flows = append(m.flows, r)
	}
}

func (m *Model) filterRows() {
	before := map[string]*control.Filter{}
	for i := range m.before.filters.Filters {
		f := &m.before.filters.Filters[i]
		before[f.Name] = f
	}
	m.filters = m.filters[:0]
	for _, f := range m.now.filters.Filters {
		r := filterRow{Filter: f}
		if old := before[f.Name]; old != nil {
			r.matchRate, r.blockRate = rate(old.Matched, f.Matched, m.took()), rate(old.Blocked, f.Blocked, m.took())
		}
		m.filters = append(m.filters, r)
	}
}

func (m *Model) causeRows() {
	m.causes = m.causes[:0]
	add := func(before, now map[string]uint64, lost bool) {
		for _, name := range slices.Sorted(maps.Keys(now)) {
			m.causes = append(m.causes, causeRow{name, lost, rate(before[name], now[name], m.took()), now[name]})
		}
	}
	add(m.before.stats.Total.DroppedBy, m.now.stats.Total.DroppedBy, false)
	add(m.before.stats.Total.LostBy, m.now.stats.Total.LostBy, true)
	slices.SortStableFunc(m.causes, func(a, b causeRow) int { return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(b.total, a.total)) })
}

// sort puts the tables into their orders, and keeps the selections inside.
func (m *Model) sort() {
	flows, filters := flowOrders[m.order[paneFlows]].less, filterOrders[m.order[paneFilters]].less
	slices.SortStableFunc(m.flows, func(a, b flowRow) int {
		return cmp.Or(turn(flows(&a, &b), m.reverse[paneFlows]), cmp.Compare(flowKey(&a.Flow), flowKey(&b.Flow)))
	})
	slices.SortStableFunc(m.filters, func(a, b filterRow) int { return turn(filters(&a, &b), m.reverse[paneFilters]) })
	for p := range panes {
		m.selected[p] = max(0, min(m.selected[p], m.length(p)-1))
	}
}

func turn(order int, reverse bool) int {
	if reverse {
		return -order
	}
	return order
}

func (m *Model) length(p pane) int {
	if p == paneFilters {
		return len(m.filters)
	}
	return len(m.flows)
}
