package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/filter"
)

type compileFlags struct {
	layer           string
	compat22        bool
	batch, asObject bool
}

func newFilterCompile() *cobra.Command {
	var f compileFlags
	cmd := &cobra.Command{
		Use:   "compile FILTER",
		Short: "Say whether a filter is right, and where not",
		Long: `Compiles a filter for a layer. A filter that is right gives "ok" and the number of its tests; one that is wrong gives the place,
the reason and, where there is one, a remedy, with exit status 2. With --object it prints the compiled form (@WinDiv_…), which
WinDivert and Weir take in place of the text.

With --batch it reads lines LAYER⇥FILTER from standard input (LAYER a name or 0 to 4, columns between tabs) and answers each
with one line: "ok" (the compiled form with --object), or "error CODE POS", where POS is a byte offset and CODE one of bad-token,
bad-token-for-layer, parse, too-deep, too-long, index-out-of-bounds, bad-object. A malformed line is answered with
"error bad-input 0", and then the exit status is 1.`,
		Example: `  weir filter compile 'tcp.DstPort == 443 and outbound'
  weir filter compile --layer socket 'event == CONNECT'
  printf 'network\ttcp.Sin\n' | weir filter compile --batch`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.batch {
				return cobra.NoArgs(cmd, args)
			}
			return take(1, "the filter")(cmd, args)
		},
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if f.batch {
				return f.lines(cmd)
			}
			return f.one(cmd, args[0])
		}),
	}
	layerFlag(cmd, &f.layer)
	compat22Flag(cmd, &f.compat22)
	cmd.Flags().BoolVar(&f.batch, "batch", false, "read LAYER⇥FILTER lines from standard input")
	cmd.Flags().BoolVar(&f.asObject, "object", false, "print the compiled form")
	cmd.MarkFlagsMutuallyExclusive("batch", "layer")
	return cmd
}

func (f *compileFlags) one(cmd *cobra.Command, src string) error {
	l, err := layerOf(f.layer)
	if err != nil {
		return err
	}
	prog, err := filter.Parse(src, l, languageOf(f.compat22)...)
	if err != nil {
		return wrong(err)
	}
	said := fmt.Sprintf("ok, %d tests", prog.Tests())
	if prog.Tests() == 1 {
		said = "ok, 1 test"
	}
	if f.asObject {
		if said, err = prog.Object(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
	return err
}

func (f *compileFlags) lines(cmd *cobra.Command) error {
	texts := &programs{language: languageOf(f.compat22)}
	return answerLines(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), func(line []byte) (string, error) {
		c, err := texts.get(line)
		switch {
		case err != nil:
			return "", err
		case c.err != nil:
			return answerError(c.err), nil
		case f.asObject:
			return c.prog.Object()
		}
		return "ok", nil
	})
}
