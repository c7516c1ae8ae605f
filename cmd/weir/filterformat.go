package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// formatResult is what `weir filter format --json` prints.
type formatResult struct {
	Layer  string `json:"layer"`
	Text   string `json:"text"`
	Object string `json:"object"`
	Tests  int    `json:"tests"`
}

func newFilterFormat() *cobra.Command {
	var layer string
	var compat22, batch, asJSON bool
	cmd := &cobra.Command{
		Use:   "format FILTER",
		Short: "Write a filter in its canonical form",
		Long: `Prints a filter as it is written canonically: parentheses only where they must be, macros and addresses for numbers that are some,
indices in bytes. The text compiles to the same program. A compiled form (@WinDiv_…) is written as text again; one that no text
is compiled to gives exit status 2.

With --batch it reads lines LAYER⇥FILTER from standard input and answers each with one line: the text, or "error CODE POS" as
described at 'weir filter compile --help'.`,
		Example: "  weir filter format '(((tcp)) and (ip.SrcAddr == 0xffff0a000001))'\n  weir filter format @WinDiv_WY_eXWWLXX_XXWWAX",
		Args:    oneOrBatch(&batch),
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if batch {
				return formatLines(cmd, compat22)
			}
			prog, err := parseFilter(args[0], layer, compat22)
			if err != nil {
				return err
			}
			text, err := prog.Format()
			if err != nil {
				return wrong(err)
			}
			if !asJSON {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			}
			object, err := prog.Object()
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), formatResult{prog.Layer().String(), text, object, prog.Tests()})
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

func formatLines(cmd *cobra.Command, compat22 bool) error {
	texts := &programs{language: languageOf(compat22)}
	return answerLines(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), func(line []byte) (string, error) {
		c, err := texts.get(line)
		switch {
		case err != nil:
			return "", err
		case c.err != nil:
			return answerError(c.err), nil
		}
		text, err := c.prog.Format()
		if err != nil {
			return answerError(err), nil
		}
		return text, nil
	})
}
