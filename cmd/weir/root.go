package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of commands in the help text.
const (
	groupPackets = "packets"
	groupRunning = "running"
	groupText    = "text"
	groupProgram = "program"
)

// newRoot wires the command tree. It is made anew for each run, so that tests do not see each other's flags.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Divert packets, classify them by a policy, and put them back",
		Long: `Weir diverts packets to a pipeline that classifies them by a policy, and puts back what may pass.

A packet comes from a driver: this host's own traffic (Linux), a capture file, or a simulated stack. Nothing is diverted from this
host unless a driver is named. It is classified at the layers of the Windows Filtering Platform by filters in the language of
WinDivert, which permit it, block it, or give it to a callout that counts, rewrites or answers it.`,
		Example: `  weir run 'tcp.DstPort == 443' -r capture.pcapng        # what does this filter take from a capture?
  weir run policy.yaml -r in.pcapng -w out.pcapng         # what becomes of a capture under this policy?
  sudo weir run policy.yaml --driver nfqueue              # and of the traffic of this host?
  sudo weir dump 'udp.DstPort == 53'                      # which packets are there?
  weir check policy.yaml                                  # is the policy right?
  weir explain policy.yaml 'tcp 10.0.0.1:5000 > 1.2.3.4:443 syn'   # and why does this packet pass or not?
  weir filter compile 'tcp.DstPrt == 443'                 # is the filter right, and where not?`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(
		&cobra.Group{ID: groupPackets, Title: "Packets:"},
		&cobra.Group{ID: groupRunning, Title: "A running weir:"},
		&cobra.Group{ID: groupText, Title: "Policies and filters:"},
		&cobra.Group{ID: groupProgram, Title: "This program:"},
	)
	root.SetHelpCommandGroupID(groupProgram)
	root.SetCompletionCommandGroupID(groupProgram)
	root.AddCommand(newRun(), newDump(), newInit(), newCheck(), newConfig(), newExplain(), newFilter(), newBench(),
		newDriver(), newService(), newDoctor(), newMan(), newVersion())
	root.AddCommand(newStatus(), newFlows(), newTrace(), newTop(), newReload(), newPause(), newResume(), newLogLevel())
	return root
}

// group makes a command that only has subcommands; cobra alone would take an unknown one for an argument and print help.
func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), suggestion(cmd, args[0]))
	}
	cmd.AddCommand(subs...)
	return cmd
}

func suggestion(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// take says which arguments a command wants, in words: cobra's own sentences count them only.
func take(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return fmt.Errorf("%s is missing", what)
		case len(args) > n:
			return fmt.Errorf("%q is one argument too many: put a filter with spaces between quotes", args[n])
		}
		return nil
	}
}
