package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// starter is the policy that `weir init` writes. A test checks and runs it.
//
//go:embed starter.yaml
var starter string

// policyDefault is what a policy is called that nobody gave a name.
const policyDefault = "policy.yaml"

func newInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "init [POLICY]",
		GroupID: groupText,
		Short:   "Write a policy to begin with",
		Long: `Writes a commented policy to POLICY, or to policy.yaml; - is standard output. It runs as it is, on made-up packets: nothing of this
host is diverted before its driver section says so. A file that is there already is left alone, and the exit status is 1.`,
		Example: "  weir init\n  weir init /etc/weir/policy.yaml\n  weir init - | less",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q is one argument too many", args[1])
			}
			return nil
		},
		RunE: does(func(cmd *cobra.Command, args []string) error {
			path := policyDefault
			if len(args) > 0 {
				path = args[0]
			}
			if path == "-" {
				_, err := fmt.Fprint(cmd.OutOrStdout(), starter)
				return err
			}
			if err := writeNew(path, starter); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; next: weir check %[1]s, weir run %[1]s\n", path)
			return err
		}),
	}
	return cmd
}

// writeNew writes a file that is not there yet. A half-written one is taken away again.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already, and is left alone; name another file", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s; make it first", filepath.Dir(path))
	case err != nil:
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
