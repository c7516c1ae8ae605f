package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/internal/daemon"
)

// controlFlags say which daemon a command asks, and how the answer is printed.
type controlFlags struct {
	address, tokenFile string
	asJSON             bool
}

func (c *controlFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.address, "control", "", "control `socket` of the daemon, or http://HOST:PORT (left out: the usual one)")
	flags.StringVar(&c.tokenFile, "token-file", "", "`file` whose first line is the token, with http://")
	flags.BoolVar(&c.asJSON, "json", false, "print the answer as JSON, as the API gives it")
}

// client returns who asks, and a context that Ctrl-C ends.
func (c *controlFlags) client(cmd *cobra.Command) (_ *control.Client, ctx context.Context, end func(), err error) {
	at, err := control.ParseAddress(c.address)
	if err != nil {
		return nil, nil, nil, wrong(err)
	}
	if c.tokenFile != "" {
		if at.Token, err = daemon.ReadToken(c.tokenFile); err != nil {
			return nil, nil, nil, wrong(err)
		}
	}
	client := control.NewClient(at)
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	return client, ctx, func() {
		stop()
		client.Close()
	}, nil
}

// asks makes a command that asks a daemon and prints the answer.
func asks(cmd *cobra.Command, c *controlFlags, ask func(ctx context.Context, client *control.Client, args []string) error) *cobra.Command {
	c.define(cmd)
	cmd.GroupID = groupRunning
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		client, ctx, end, err := c.client(cmd)
		if err != nil {
			return err
		}
		defer end()
		return asked(ask(ctx, client, args))
	})
	return cmd
}

// asked gives what the daemon finds wrong with the request the exit status of wrong usage.
func asked(err error) error {
	var e *control.Error
	if errors.As(err, &e) && (e.Code == control.CodeBadRequest || e.Code == control.CodeRefused) {
		return wrong(err)
	}
	return err
}
