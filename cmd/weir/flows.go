package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/control"
)

func newFlows() *cobra.Command {
	var c controlFlags
	var q control.FlowQuery
	cmd := &cobra.Command{
		Use:   "flows [TEXT]",
		Short: "List the flows of a running weir",
		Long: `Lists flows that a running weir remembers: who opened them, how far they are, and what they carried in both directions.
With TEXT only those are listed whose line has it, such as an address or "established".`,
		Example: "  sudo weir flows\n  sudo weir flows 10.0.0.7 --sort age\n  sudo weir flows --limit 10000 --json | jq '.flows[] | select(.refused)'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q is one argument too many: put a text with spaces between quotes", args[1])
			}
			return nil
		},
	}
	asks(cmd, &c, func(ctx context.Context, client *control.Client, args []string) error {
		if q.Limit < 1 || q.Limit > control.FlowsMax {
			return wrongf("--limit %d: want 1 to %d", q.Limit, control.FlowsMax)
		}
		if !slices.Contains(control.FlowSorts(), q.Sort) {
			return wrongf("--sort %q: want one of %s", q.Sort, strings.Join(control.FlowSorts(), ", "))
		}
		q.Match = strings.Join(args, "")
		flows, err := client.Flows(ctx, q)
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(cmd.OutOrStdout(), flows)
		}
		return printFlows(cmd.OutOrStdout(), &flows)
	})
	cmd.Flags().StringVar(&q.Sort, "sort", control.SortBytes, "`order`, the greatest first: bytes, packets, age, or idle (the last to speak first)")
	cmd.Flags().IntVar(&q.Limit, "limit", control.FlowsDefault, "list so many `flows` at most")
	complete(cmd, "sort", control.FlowSorts())
	return cmd
}

func printFlows(w io.Writer, f *control.Flows) error {
	var b strings.Builder
	g := newGrid("proto", "source", "destination", "way", "state", ">packets", ">bytes", ">age", ">idle")
	for i := range f.Flows {
		x := &f.Flows[i]
		way, state := "in", x.State
		if x.Outbound {
			way = "out"
		}
		if x.Midstream {
			state += ", midstream"
		}
		if x.Refused != "" {
			state = "refused: " + x.Refused
		}
		g.add(x.Protocol, x.Source, x.Destination, way, state, x.Packets, bytesText(x.Bytes),
			time.Duration(x.AgeNS).Round(time.Second), time.Duration(x.IdleNS).Round(time.Millisecond))
	}
	g.section(&b)
	fmt.Fprintf(&b, "%d of %d flows\n", len(f.Flows), f.Total)
	_, err := io.WriteString(w, b.String())
	return err
}
