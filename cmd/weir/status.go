package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/control"
)

func newStatus() *cobra.Command {
	var c controlFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what a running weir does",
		Long: `Asks a running weir by which policy it runs, how its driver is, and what became of the packets so far.
Exit status: 0 it runs or is paused, 1 it does not answer, or its driver is not open.`,
		Example: "  sudo weir status\n  sudo weir status --json | jq .status.state",
	}
	return asks(cmd, &c, func(ctx context.Context, client *control.Client, _ []string) error {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		stats, err := client.Stats(ctx)
		if err != nil {
			return err
		}
		if c.asJSON {
			err = printJSON(cmd.OutOrStdout(), statusAnswer{&status, &stats})
		} else {
			err = printStatus(cmd.OutOrStdout(), &status, &stats)
		}
		if err == nil && status.State == control.Running && !status.Driver.Open {
			return errTold
		}
		return err
	})
}

// statusAnswer is what `weir status --json` prints.
type statusAnswer struct {
	Status *control.Status `json:"status"`
	Stats  *control.Stats  `json:"stats"`
}

func printStatus(w io.Writer, s *control.Status, st *control.Stats) error {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s "+format+"\n", append([]any{key}, args...)...)
	}
	line("weir", "%s, process %d, %s for %v", s.Weir.Version, s.PID, s.State, time.Duration(s.UptimeNS).Round(time.Second))
	path := s.Policy.Path
	if path == "" {
		path = "a filter by itself"
	}
	line("policy", "%s, read %s; %d filters, %d callouts", path, s.Policy.LoadedAt.Local().Format(time.DateTime), s.Policy.Filters, s.Policy.Callouts)
	line("driver", "%s", driverText(&s.Driver, s.State))
	line("reloads", "%s", reloadsText(&s.Reloads))
	t := &st.Total
	line("packets", "received %d = passed %d + dropped %d + held %d + in batch %d; lost %d", t.Received, t.Passed, t.Dropped, t.Held, t.InBatch, t.Lost)
	line("injected", "%d = completed %d + failed %d", t.Injected, t.Completed, t.Failed)
	line("flows", "%d now, %d ever", st.Flows.Now, st.Flows.Opened)
	line("batches", "%s", latencyText(&st.Batches))
	line("process", "%d goroutines, %s of heap, %d files", s.Process.Goroutines, bytesText(s.Process.HeapBytes), s.Process.OpenFiles)
	for i := range st.Handles {
		h := &st.Handles[i]
		line(fmt.Sprintf("handle %d", h.ID), "%s at %s, priority %d: received %d, passed %d, dropped %d", h.Filter, h.Layer, h.Priority, h.Received, h.Passed, h.Dropped)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func driverText(d *control.DriverStatus, state string) string {
	text := d.Name + ", open"
	if !d.Open {
		text = d.Name + ", NOT OPEN"
		if state == control.Paused {
			text = d.Name + ", closed while paused: packets pass by"
		}
	}
	if d.Reopened > 0 {
		text += fmt.Sprintf("; opened again %d times", d.Reopened)
	}
	if d.Error != "" {
		text += "; died last of: " + d.Error
	}
	return text
}

func reloadsText(r *control.Reloads) string {
	text := fmt.Sprintf("%d applied, %d refused", r.Applied, r.Refused)
	if r.Last != nil && !r.Last.Applied {
		text += "; the last one was refused: " + strings.SplitN(r.Last.Error, "\n", 2)[0]
	}
	return text
}

func latencyText(l *control.Latency) string {
	if l.Count == 0 {
		return "none yet"
	}
	return fmt.Sprintf("%d, half below %v, 99%% below %v", l.Count, l.Quantile(0.5), l.Quantile(0.99))
}

// bytesText writes a size with three digits.
func bytesText(n uint64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for v >= 1000 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	return fmt.Sprintf("%.3g %s", v, units[0])
}
