package main

import (
	"github.com/spf13/cobra"

	"github.com/weirnet/weir/bench"
)

// show writes the report in the forms that were asked for.
func (f *benchFlags) show(cmd *cobra.Command, r *bench.Report) error {
	out := cmd.OutOrStdout()
	if f.asJSON {
		return r.WriteJSON(out)
	}
	return printBench(out, r)
}
