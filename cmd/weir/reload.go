package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/control"
)

func newReload() *cobra.Command {
	var c controlFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running weir read its policy again",
		Long: `Has a running weir read its policy file again and put it in force, with its handles and driver settings: all at once, or not at
all, and then the policy in force stays and this says what is wrong. No packet is lost. Flows are authorised again, each with its next
packet. What was counted for filters and callouts whose names stay goes on.
Exit status: 0 it is in force, 1 nobody answers, 2 it is refused.`,
		Example: "  sudo weir reload\n  sudo kill -HUP $(pidof weir)      # the same; the log says what became of it",
	}
	return asks(cmd, &c, func(ctx context.Context, client *control.Client, _ []string) error {
		r, err := client.Reload(ctx)
		var refused *control.Error
		if errors.As(err, &refused) && refused.Reload != nil {
			r = *refused.Reload
		} else if err != nil {
			return err
		}
		if c.asJSON {
			if err := printJSON(cmd.OutOrStdout(), r); err != nil {
				return err
			}
			if !r.Applied {
				return &statusError{exitUsage, errTold}
			}
			return nil
		}
		if !r.Applied {
			return wrongf("the policy in force stays:\n%s", r.Error)
		}
		return printReload(cmd.OutOrStdout(), &r)
	})
}

func printReload(w io.Writer, r *control.ReloadResult) error {
	var b strings.Builder
	fmt.Fprintf(&b, "reloaded in %v\n", time.Duration(r.TookNS).Round(10*time.Microsecond))
	for _, part := range []struct {
		sign  string
		names []string
	}{{"+", r.Added}, {"-", r.Removed}, {"~", r.Changed}} {
		for _, n := range part.names {
			fmt.Fprintf(&b, "%s filter %s\n", part.sign, n)
		}
	}
	if len(r.Added)+len(r.Removed)+len(r.Changed) == 0 {
		b.WriteString("no filter changed\n")
	}
	fmt.Fprintf(&b, "%d handles changed, %d kept; %d flows are asked again\n", r.HandlesOpened, r.HandlesKept, r.FlowsToAsk)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newPause() *cobra.Command {
	var c controlFlags
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Have a running weir let packets pass by",
		Long: `Has a running weir judge what waits, and then divert nothing: packets pass by undecided, also with fail-closed, until weir resume.
What it counted and the flows that it knows are kept.`,
		Example: "  sudo weir pause && sleep 60 && sudo weir resume",
	}
	return asks(cmd, &c, func(ctx context.Context, client *control.Client, _ []string) error {
		s, err := client.Pause(ctx)
		return c.printState(cmd, &s, err)
	})
}

func newResume() *cobra.Command {
	var c controlFlags
	cmd := &cobra.Command{
		Use:     "resume",
		Short:   "Have a paused weir divert packets again",
		Long:    "Ends what weir pause began. If the driver cannot be opened it stays paused, and this says why.",
		Example: "  sudo weir resume",
	}
	return asks(cmd, &c, func(ctx context.Context, client *control.Client, _ []string) error {
		s, err := client.Resume(ctx)
		return c.printState(cmd, &s, err)
	})
}

func (c *controlFlags) printState(cmd *cobra.Command, s *control.Status, err error) error {
	if err != nil {
		return err
	}
	if c.asJSON {
		return printJSON(cmd.OutOrStdout(), s)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), s.State)
	return err
}
