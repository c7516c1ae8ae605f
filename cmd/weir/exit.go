package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, filter or policy

	exitOverrun = 3 // draining took too long
)

// streams are where a command reads and writes; tests give buffers.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// statusError is an error with the exit status that it means.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// errTold: what went wrong has been told; only the exit status is left to say.
var errTold = errors.New("failed as told above")

// wrong marks what the caller must write differently: exit status 2.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{exitUsage, err}
}

func wrongf(format string, args ...any) error { return wrong(fmt.Errorf(format, args...)) }

// does makes f a command's body: an error that f does not mark as wrong usage means that the work failed.
func does(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		var marked *statusError
		if err == nil || errors.As(err, &marked) {
			return err
		}
		return &statusError{exitFailed, err}
	}
}

// execute runs one command line and returns the exit status. What cobra itself refuses is wrong usage.
func execute(ctx context.Context, args []string, s streams) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var marked *statusError
	if !errors.As(err, &marked) {
		fmt.Fprintf(s.err, "weir: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintf(s.err, "weir: %v\n", err)
	}
	return marked.status
}
