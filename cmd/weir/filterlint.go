package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/filter"
)

// lintResult is what `weir filter lint --json` prints.
type lintResult struct {
	Layer  string        `json:"layer"`
	Filter string        `json:"filter"`
	Lints  []filter.Lint `json:"lints"`
}

func newFilterLint() *cobra.Command {
	var layer string
	var compat22, batch, asJSON bool
	cmd := &cobra.Command{
		Use:   "lint FILTER",
		Short: "Say what in a filter is hardly meant",
		Long: `Looks for what is right and hardly meant: a filter that is true or false for every packet, tests that cannot hold or cannot fail
where they stand, such as udp in "tcp and udp", and clauses that no packet comes to. It prints each with its place, or "ok".
Findings do not change the exit status; a filter that is wrong gives 2.

With --batch it reads lines LAYER⇥FILTER from standard input and answers each with one line: "ok"; the findings, each as
"KIND POS" with ", " between, where KIND is always-true, always-false, impossible, vacuous or unreachable and POS a byte offset
(-1 in a compiled form); or "error CODE POS" as described at 'weir filter compile --help'.`,
		Example: "  weir filter lint 'tcp.DstPort == 80 and tcp.DstPort == 443'\n  weir filter lint --json 'inbound or outbound' | jq '.lints[].kind'",
		Args:    oneOrBatch(&batch),
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if batch {
				return lintLines(cmd, compat22)
			}
			prog, err := parseFilter(args[0], layer, compat22)
			if err != nil {
				return err
			}
			found := append([]filter.Lint{}, prog.Lint()...)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), lintResult{prog.Layer().String(), prog.String(), found})
			}
			return printLints(cmd.OutOrStdout(), prog.String(), found)
		}),
	}
	layerFlag(cmd, &layer)
	compat22Flag(cmd, &compat22)
	cmd.Flags().BoolVar(&batch, "batch", false, "read LAYER⇥FILTER lines from standard input")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.MarkFlagsMutuallyExclusive("batch", "layer")
	cmd.MarkFlagsMutuallyExclusive("batch", "json")
	return cmd
}

// lintWidth is the longest filter that is shown below each finding.
const lintWidth = 120

func printLints(to io.Writer, src string, found []filter.Lint) error {
	w := bufio.NewWriter(to)
	if len(found) == 0 {
		fmt.Fprintln(w, "ok")
	}
	for _, l := range found {
		fmt.Fprintln(w, l)
		if l.Pos >= 0 && len(src) <= lintWidth { // what is a filter has no wide characters
			shown := strings.Map(func(r rune) rune { return max(r, ' ') }, src)
			fmt.Fprintf(w, "  %s\n  %s%s\n", shown, strings.Repeat(" ", l.Pos), strings.Repeat("^", l.End-l.Pos))
		}
	}
	return w.Flush()
}

func lintLines(cmd *cobra.Command, compat22 bool) error {
	texts := &programs{language: languageOf(compat22)}
	return answerLines(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), func(line []byte) (string, error) {
		c, err := texts.get(line)
		switch {
		case err != nil:
			return "", err
		case c.err != nil:
			return answerError(c.err), nil
		}
		var said []string
		for _, l := range c.prog.Lint() {
			said = append(said, fmt.Sprintf("%s %d", l.Kind, l.Pos))
		}
		if said == nil {
			return "ok", nil
		}
		return strings.Join(said, ", "), nil
	})
}
