package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

func newTrace() *cobra.Command {
	var c controlFlags
	var q control.TraceQuery
	var out string
	var brief bool
	cmd := &cobra.Command{
		Use:   "trace [FILTER]",
		Short: "Explain live packets of a running weir",
		Long: `Shows live packets of a running weir and how each came to its verdict: every layer that it visited, every filter that was asked,
and every test. With FILTER only packets that it takes; --verdict tells which of them.

At most ` + fmt.Sprint(control.TracePerSec) + ` packets a second are explained; what came faster is counted. With -w packets are recorded instead, in
pcapng, as they went on or were dropped, each with its verdict as a comment. Packets that weir does not divert are not seen: weir dump
shows those too.`,
		Example: `  sudo weir trace 'tcp.DstPort == 443' -n 10
  sudo weir trace --verdict drop --brief
  sudo weir trace udp -w dropped.pcapng --verdict drop -n 1000`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q is one argument too many: put a filter with spaces between quotes", args[1])
			}
			return nil
		},
	}
	asks(cmd, &c, func(ctx context.Context, client *control.Client, args []string) error {
		q.Filter = strings.Join(args, "")
		if out != "" {
			return record(ctx, client, q, out)
		}
		return client.Trace(ctx, q, func(t *control.Trace) error {
			text, err := traceText(t, c.asJSON, brief)
			if err == nil {
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			}
			return err
		})
	})
	flags := cmd.Flags()
	flags.StringVar(&q.Verdict, "verdict", "", "only packets with this `verdict`: pass, drop or held")
	flags.BoolVar(&q.Forward, "forward", false, "only packets that this host forwards; FILTER is then of the forward layer")
	flags.Uint64VarP(&q.Count, "count", "n", 0, "stop after so many `packets`")
	flags.BoolVar(&brief, "brief", false, "one line for each packet")
	flags.StringVarP(&out, "write", "w", "", "record packets in this pcapng `file` instead")
	complete(cmd, "verdict", []string{"pass", "drop", "held"})
	return cmd
}

func record(ctx context.Context, client *control.Client, q control.TraceQuery, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = client.Dump(ctx, q, f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func traceText(t *control.Trace, asJSON, brief bool) (string, error) {
	if asJSON {
		line, err := jsonLine(t)
		return line + "\n", err
	}
	missed := ""
	if t.Missed > 0 {
		missed = fmt.Sprintf("(%d packets came too fast to be explained)\n", t.Missed)
	}
	at := t.Time.Local().Format("15:04:05.000000")
	if !brief {
		return fmt.Sprintf("%s%s handle %d: %s\n", missed, at, t.Handle, &t.Explanation), nil
	}
	return fmt.Sprintf("%s%s %s: %s\n", missed, at, t.Packet, verdictText(&t.Explanation)), nil
}

func verdictText(x *processor.Explanation) string {
	if x.Cause == "" {
		return x.Verdict
	}
	return fmt.Sprintf("%s (%s): %s", x.Verdict, x.Cause, x.Decided)
}
