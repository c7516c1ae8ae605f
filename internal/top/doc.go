// Package top is the live view of a running daemon in a terminal: rates, verdicts, causes of drops, latency and queues with their
// last minutes, and the filters and flows that have most to do. It asks the daemon's control API once in an interval and keeps
// nothing but a few minutes of rates; what it costs the daemon is four requests.
//
// The screen is one value (Model) that messages change and that is drawn from nothing else, so a test can show any moment of it.
package top

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

// Source is what is asked: a *control.Client.
type Source interface {
	Status(ctx context.Context) (control.Status, error)
	Stats(ctx context.Context) (control.Stats, error)
	Flows(ctx context.Context, q control.FlowQuery) (control.Flows, error)
	Filters(ctx context.Context) (control.Filters, error)
	Explain(ctx context.Context, r control.ExplainRequest) (processor.Explanation, error)
}

// Config says what is shown.
type Config struct {
	Source   Source
	Interval time.Duration // between two questions, IntervalMin or more
	// Packet makes a packet of a flow, to be explained.
	Packet func(control.Flow) (control.ExplainRequest, error)
	Match  string // part of the flows to show; see control.FlowQuery
}

// Bounds of Config.Interval.
const (
	IntervalMin     = 100 * time.Millisecond
	IntervalDefault = time.Second
)

// askFor bounds the time that one round of questions takes.
const askFor = 5 * time.Second

// Run shows the screen until the user or ctx ends it. The error is that of the first questions, or of the terminal: later ones are
// shown, and asked again.
func Run(ctx context.Context, c Config, opts ...tea.ProgramOption) error {
	m := New(c)
	first := ask(ctx, c.Source, m.query())
	if first.err != nil {
		return first.err
	}
	m.take(first)
	_, err := tea.NewProgram(m, append(opts, tea.WithContext(ctx), tea.WithAltScreen())...).Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Once returns the screen after one interval, without colours, width by height characters.
func Once(ctx context.Context, c Config, width, height int) (string, error) {
	m := New(c)
	m.width, m.height = width, height
	for i := range 2 {
		if i > 0 {
			select {
			case <-time.After(c.Interval):
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		s := ask(ctx, c.Source, m.query())
		if s.err != nil {
			return "", s.err
		}
		m.take(s)
	}
	return m.View() + "\n", nil
}
