package daemon

import (
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

// ControlStats are the books. What workers count they count for themselves; it is added up here.
func (s *Session) ControlStats() control.Stats {
	stats := s.proc.Stats()
	x := control.Stats{
		At: time.Now(), UptimeNS: time.Since(s.begun).Nanoseconds(), Handles: []control.HandleStats{},
		Filters: make([]control.FilterStats, len(stats.Filters)), Callouts: s.calloutStats(stats.Callouts),
		Flows:    control.FlowTotals{Now: stats.Flows, Opened: stats.FlowsOpened, Evicted: stats.FlowsEvicted, Idle: stats.FlowsIdle},
		Pipeline: s.pipeline(&stats),
		Control:  s.controlCounts(),
	}
	var all divertdrv.Stats
	for i, h := range s.handles {
		st := h.Stats()
		all.Add(st)
		if x1, used := s.handleStats(i, &st); used {
			x.Handles = append(x.Handles, x1)
		}
		s.meters[i].took.addTo(&x.Batches)
	}
	x.Total = books(&all, s.bytes())
	for i := range stats.Filters {
		x.Filters[i] = filterStats(&stats.Filters[i])
	}
	return x
}

func books(s *divertdrv.Stats, bytes uint64) control.Books {
	return control.Books{
		Received: s.Received, Passed: s.Passed, Dropped: s.DroppedTotal(), Held: s.Held, InBatch: s.InBatch,
		Injected: s.Injected, Completed: s.Completed, Failed: s.Failed, Lost: s.Lost, BytesReceived: bytes,
		DroppedBy: byCause(&s.Dropped), LostBy: byCause(&s.LostBy),
	}
}

// handleStats tells of one handle; used: it is open, or was.
func (s *Session) handleStats(i int, st *divertdrv.Stats) (x control.HandleStats, used bool) {
	c := s.swap.conns[i]
	spec := c.wants()
	x = control.HandleStats{ID: i, Layer: s.handles[i].Layer().String(), Books: books(st, s.meters[i].bytes.Load())}
	if spec == nil {
		return x, st.Received > 0 || st.Injected > 0 || st.Lost > 0
	}
	x.Filter, x.Priority = spec.Filter.String(), int(spec.Priority)
	if spec.Flags != 0 {
		x.Flags = spec.Flags.String()
	}
	if n, known := c.Waiting(); known {
		n -= min(n, st.Held+st.InBatch)
		x.Queued = &n
	}
	return x, true
}

func filterStats(f *processor.FilterStats) control.FilterStats {
	return control.FilterStats{
		Name: f.Name, Layer: f.Layer.String(), Callout: f.Callout,
		Matched: f.Matched, Permitted: f.Permitted, Blocked: f.Blocked, Vetoes: f.Vetoes,
	}
}

// calloutStats joins what callouts counted by themselves with how long they took.
func (s *Session) calloutStats(took []processor.CalloutStats) []control.CalloutStats {
	all := make([]control.CalloutStats, len(took))
	counters := map[string]map[string]uint64{}
	if pol := s.plan.Load().Policy; pol != nil {
		for _, c := range pol.Callouts() {
			if by, ok := c.(counting); ok {
				counters[c.Name()] = maps.Collect(by.Counters)
			}
		}
	}
	for i := range took {
		t := &took[i]
		all[i] = control.CalloutStats{
			Name: t.Name, Counters: counters[t.Name], Overruns: t.Overruns,
			Took: control.Latency{Count: t.Calls, Buckets: append([]uint64(nil), t.Took[:]...)},
		}
	}
	return all
}

// controlCounts are those of the control API and of the log.
func (s *Session) controlCounts() map[string]uint64 {
	all := map[string]uint64{
		"subscribers": uint64(s.watchers.subscribers()), "subscribers_refused": s.watchers.refused.Load(),
		"log_lines_skipped": s.log.Levels.Skipped(),
	}
	if c := s.served.Load(); c != nil {
		all["requests"], all["refused"] = c.Requests.Load(), c.Refused.Load()
		all["connections"], all["connections_refused"] = uint64(max(c.Connections.Load(), 0)), c.Overflow.Load()
	}
	return all
}

// Filters are the filters in force, with what they did.
func (s *Session) Filters() control.Filters {
	x := control.Filters{Filters: []control.Filter{}}
	pol := s.plan.Load().Policy
	if pol == nil {
		return x
	}
	counted := map[string]*processor.FilterStats{}
	stats := s.proc.Stats()
	for i := range stats.Filters {
		counted[stats.Filters[i].Name] = &stats.Filters[i]
	}
	for _, f := range pol.All() {
		y := control.Filter{Sublayer: f.Sublayer, Weight: f.Weight, Action: f.Action.String()}
		if n := counted[f.Name]; n != nil {
			y.FilterStats = filterStats(n)
		}
		y.Name, y.Layer = f.Name, f.Layer.String()
		y.When = f.Conditions()
		x.Filters = append(x.Filters, y)
	}
	return x
}

// LogLevels are the log levels.
func (s *Session) LogLevels() control.LogLevels { return control.LogLevels{Levels: s.log.Levels.All()} }

// SetLogLevel sets a log level.
func (s *Session) SetLogLevel(l control.LogLevel) error {
	if err := s.log.Levels.Set(l.Component, l.Level); err != nil {
		return err
	}
	s.watchers.refresh()
	s.log.tell(evLevelChanged, componentField(l.Component), zap.String(keyTo, l.Level))
	return nil
}
