package daemon

import (
	"fmt"
	"slices"

	"golang.org/x/time/rate"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/internal/control"
)

// newFeed reads a query.
func newFeed(q control.TraceQuery) (*feed, error) {
	f := &feed{verdict: q.Verdict}
	if q.Verdict != "" && !slices.Contains([]string{"pass", "drop", "held"}, q.Verdict) {
		return nil, badRequest("unknown verdict %q: want pass, drop or held", q.Verdict)
	}
	layer, text := divertdrv.Network, q.Filter
	if q.Forward {
		layer = divertdrv.NetworkForward
	}
	if text == "" && q.Forward {
		text = "true"
	}
	if text != "" {
		var err error
		if f.filter, err = filter.Parse(text, layer); err != nil {
			return nil, badRequest("%v", err)
		}
	}
	f.count.Store(-1)
	if q.Count > 0 {
		f.count.Store(int64(min(q.Count, 1<<62)))
	}
	return f, nil
}

func badRequest(format string, args ...any) error {
	return &control.Error{Status: 400, Code: control.CodeBadRequest, Message: fmt.Sprintf(format, args...)}
}

// add has a feed look at packets.
func (w *watchers) add(f *feed) error {
	w.mu.Lock()
	switch {
	case w.over:
		w.mu.Unlock()
		return &control.Error{Status: 503, Code: control.CodeUnavailable, Message: "weir is ending"}
	case len(w.feeds) == control.SubscriptionsMax:
		w.mu.Unlock()
		w.refused.Add(1)
		return &control.Error{
			Status: 429, Code: control.CodeTooMany,
			Message: fmt.Sprintf("there are %d subscriptions, which is the most; end one", control.SubscriptionsMax),
		}
	}
	w.feeds = append(w.feeds, f)
	w.mu.Unlock()
	w.refresh()
	return nil
}

func (w *watchers) remove(f *feed) {
	w.mu.Lock()
	w.feeds = slices.DeleteFunc(w.feeds, func(g *feed) bool { return g == f })
	w.mu.Unlock()
	w.refresh()
}

func (w *watchers) subscribers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.feeds)
}

// Trace has live packets explained.
func (s *Session) Trace(q control.TraceQuery) (*control.Feed[*control.Trace], error) {
	f, err := newFeed(q)
	if err != nil {
		return nil, err
	}
	f.traces = make(chan *control.Trace, control.TraceQueue)
	f.pace = rate.NewLimiter(control.TracePerSec, control.TracePerSec)
	if err := s.watchers.add(f); err != nil {
		return nil, err
	}
	return &control.Feed[*control.Trace]{C: f.traces, Over: s.ending.Done(), Close: func() { s.watchers.remove(f) }}, nil
}

// Dump has live packets copied, as they go on, or were when they were dropped.
func (s *Session) Dump(q control.TraceQuery) (*control.Feed[pcapdrv.Record], error) {
	f, err := newFeed(q)
	if err != nil {
		return nil, err
	}
	f.packets = make(chan pcapdrv.Record, control.DumpQueue>>10)
	if err := s.watchers.add(f); err != nil {
		return nil, err
	}
	return &control.Feed[pcapdrv.Record]{
		C: f.packets, Over: s.ending.Done(), Close: func() { s.watchers.remove(f) },
		Took: func(r pcapdrv.Record) { f.waiting.Add(-int64(len(r.Data))) },
	}, nil
}
