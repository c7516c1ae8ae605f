package main

import (
	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/doctor"
)

func newDoctor() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupProgram,
		Short:   "Say whether packets can be diverted here, and what lacks",
		Long: `Looks at privileges and tries what the driver of this system needs, each by itself. For what lacks it says what that costs and
what mends it. It also says who holds packet queues, and what was lost there. Nothing is diverted, and nothing stays changed.

The state of a line is "ok", "info", "warn" (something lacks that not everybody needs) or "fail" (packets cannot be diverted);
with a failure the exit status is 1.`,
		Example: "  sudo weir doctor\n  weir doctor --json | jq '.findings[] | select(.state == \"fail\")'",
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			report := doctor.Examine()
			var err error
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				_, err = report.WriteTo(cmd.OutOrStdout())
			}
			if err == nil && !report.OK {
				return errTold
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
