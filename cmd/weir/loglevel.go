package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/internal/daemon"
)

func newLogLevel() *cobra.Command {
	var c controlFlags
	cmd := &cobra.Command{
		Use:   "log-level [[COMPONENT=]LEVEL]",
		Short: "Ask or set the log levels of a running weir",
		Long: `Without an argument it prints the level of each component of the log; with one it sets that of a component, or of all. The change
lasts until the daemon ends. Components: ` + strings.Join(daemon.LogComponents(), ", ") + `; levels: ` + strings.Join(daemon.LogLevels(), ", ") + `.
At verdict=debug packets that are dropped are told, ten a second at most.`,
		Example: "  sudo weir log-level\n  sudo weir log-level verdict=debug\n  sudo weir log-level warn",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q is one argument too many: set one level at a time", args[1])
			}
			return nil
		},
	}
	return asks(cmd, &c, func(ctx context.Context, client *control.Client, args []string) error {
		var l control.LogLevels
		var err error
		if len(args) == 0 {
			l, err = client.LogLevels(ctx)
		} else {
			component, level, named := strings.Cut(args[0], "=")
			if !named {
				component, level = "", args[0]
			}
			l, err = client.SetLogLevel(ctx, control.LogLevel{Component: component, Level: level})
		}
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(cmd.OutOrStdout(), l)
		}
		for _, name := range slices.Sorted(maps.Keys(l.Levels)) {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s\n", name, l.Levels[name]); err != nil {
				return err
			}
		}
		return nil
	})
}
