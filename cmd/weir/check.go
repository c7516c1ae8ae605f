package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/processor/policy"
)

// checked is what `weir check --json` prints.
type checked struct {
	OK     bool           `json:"ok"`
	File   string         `json:"file"`
	Errors []policy.Error `json:"errors"`
	More   int            `json:"more,omitempty"` // errors that were left out
	Lints  []policy.Lint  `json:"lints"`          // what works and is hardly meant

	Handles   int `json:"handles"`
	Sublayers int `json:"sublayers"`
	Filters   int `json:"filters"`
	Callouts  int `json:"callouts"`
}

func newCheck() *cobra.Command {
	var asJSON, strict bool
	var allow []string
	cmd := &cobra.Command{
		Use:     "check POLICY",
		GroupID: groupText,
		Short:   "Say what is wrong with a policy",
		Long: `Reads a policy, compiles its filters and callouts, and opens nothing. It prints every error with file, line and column, at once, and
then the exit status is 2; or "ok" and what the policy has. Warnings are about what works but is hardly meant, such as a filter
that is never asked; they do not change the exit status, unless --strict asks for it.`,
		Example:           "  weir check examples/quickstart.yaml\n  weir check policy.yaml --json | jq '.errors[].msg'\n  weir check policy.yaml --strict && weir reload",
		Args:              take(1, "the policy file"),
		ValidArgsFunction: completePolicy,
		RunE: does(func(cmd *cobra.Command, args []string) error {
			c, err := check(args[0], allow)
			if err != nil {
				return wrong(err)
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), c)
			} else {
				err = c.print(cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			if err == nil && (!c.OK || strict && len(c.Lints) > 0) {
				return wrong(errTold)
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit status 2 for warnings too")
	allowWriteFlag(cmd.Flags(), &allow)
	return cmd
}

// check reads a policy. The error is about the file itself.
func check(path string, allow []string) (*checked, error) {
	c := &checked{File: path, Errors: []policy.Error{}, Lints: []policy.Lint{}}
	file, err := loadPolicy(path, allow)
	var all *policy.Errors
	switch {
	case errors.As(err, &all):
		c.Errors, c.More = all.List, all.More
		return c, nil
	case err != nil:
		return nil, err
	}
	c.OK = true
	c.Lints = append(c.Lints, file.Lint()...)
	c.Handles, c.Sublayers, c.Filters, c.Callouts = len(file.Handles), len(file.Sublayers), len(file.Filters), len(file.Callouts)
	return c, nil
}

func (c *checked) print(out, complaints io.Writer) error {
	if !c.OK {
		_, err := fmt.Fprintln(complaints, (&policy.Errors{List: c.Errors, More: c.More}).Error())
		return err
	}
	for _, l := range c.Lints {
		fmt.Fprintf(complaints, "%s:%d:%d: warning: %s; %s\n", l.File, l.Line, l.Column, l.Msg, l.Remedy)
	}
	_, err := fmt.Fprintf(out, "ok: %s, %s, %s, %s\n",
		plural(c.Filters, "filter"), plural(c.Sublayers, "sublayer"), plural(c.Callouts, "callout"), plural(c.Handles, "handle"))
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
