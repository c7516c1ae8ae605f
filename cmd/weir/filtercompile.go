package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/filter"
)

type compileFlags struct {
	layer           string
	compat22        bool
	batch, asObject bool
	asJSON          bool
	lower           string
}

// compileResult is what `weir filter compile --json` prints.
type compileResult struct {
	OK     bool         `json:"ok"`
	Tests  int          `json:"tests,omitempty"`
	Object string       `json:"object,omitempty"`
	Error  *compileFail `json:"error,omitempty"`
	Linux  []lowered    `json:"linux,omitempty"` // with --lower linux
}

type compileFail struct {
	Code string `json:"code"`
	Pos  int    `json:"pos"` // byte offset
	Msg  string `json:"msg"`
}

func newFilterCompile() *cobra.Command {
	var f compileFlags
	cmd := &cobra.Command{
		Use:   "compile FILTER",
		Short: "Say whether a filter is right, and where not",
		Long: `Compiles a filter for a layer. A filter that is right gives "ok" and the number of its tests; one that is wrong gives the place,
the reason and, where there is one, a remedy, with exit status 2. With --object it prints the compiled form (@WinDiv_…), which
WinDivert and Weir take in place of the text. With --lower linux it says for each hook of the kernel whether the kernel decides the
filter there, and which tests are left to user space, with the reason.

With --batch it reads lines LAYER⇥FILTER from standard input (LAYER a name or 0 to 4, columns between tabs) and answers each
with one line: "ok" (the compiled form with --object), or "error CODE POS", where POS is a byte offset and CODE one of bad-token,
bad-token-for-layer, parse, too-deep, too-long, index-out-of-bounds, bad-object. A malformed line is answered with
"error bad-input 0", and then the exit status is 1.`,
		Example: `  weir filter compile 'tcp.DstPort == 443 and outbound'
  weir filter compile --layer socket 'event == CONNECT'
  weir filter compile --lower linux 'tcp and random8 < 10'
  printf 'network\ttcp.Sin\n' | weir filter compile --batch`,
		Args: oneOrBatch(&f.batch),
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
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&f.lower, "lower", "", "say what the filter becomes on a `platform`: linux")
	complete(cmd, "lower", []string{"linux"})
	cmd.MarkFlagsMutuallyExclusive("batch", "layer")
	cmd.MarkFlagsMutuallyExclusive("batch", "lower")
	cmd.MarkFlagsMutuallyExclusive("object", "lower")
	cmd.MarkFlagsMutuallyExclusive("batch", "json")
	cmd.MarkFlagsMutuallyExclusive("object", "json")
	return cmd
}

func (f *compileFlags) one(cmd *cobra.Command, src string) error {
	prog, err := parseFilter(src, f.layer, f.compat22)
	if f.asJSON {
		return f.print(cmd, prog, err)
	}
	if err != nil {
		return err
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
	var list []lowered
	if f.lower != "" {
		if list, err = lowerFor(f.lower, prog); err != nil {
			return err
		}
	}
	if _, err = fmt.Fprintln(cmd.OutOrStdout(), said); err != nil {
		return err
	}
	return printLowered(cmd.OutOrStdout(), list)
}

// print prints what became of a text, also of one that is no filter. The error is of the usage, if it is no *filter.Error.
func (f *compileFlags) print(cmd *cobra.Command, prog *filter.Program, err error) error {
	var r compileResult
	var fault *filter.Error
	switch {
	case errors.As(err, &fault):
		r.Error = &compileFail{fault.Code.String(), fault.Pos, fault.Msg}
	case err != nil:
		return err
	default:
		r.OK, r.Tests = true, prog.Tests()
		if r.Object, err = prog.Object(); err != nil {
			return err
		}
		if f.lower != "" {
			if r.Linux, err = lowerFor(f.lower, prog); err != nil {
				return err
			}
		}
	}
	if err := printJSON(cmd.OutOrStdout(), r); err != nil {
		return err
	}
	if !r.OK {
		return wrong(errTold)
	}
	return nil
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
